from rune_common.http.lambda_entry import serve
from rune_common.http.routes import read_browser_stream

if __name__ == "__main__":
    serve(read_browser_stream.router)
