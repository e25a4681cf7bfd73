from rune_common.http.lambda_entry import serve
from rune_common.http.routes import read_evidence

if __name__ == "__main__":
    serve(read_evidence.router)
