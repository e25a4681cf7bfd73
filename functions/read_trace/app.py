from rune_common.http.lambda_entry import serve
from rune_common.http.routes import read_trace

if __name__ == "__main__":
    serve(read_trace.router)
