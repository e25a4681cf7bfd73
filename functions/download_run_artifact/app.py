from rune_common.http.lambda_entry import serve
from rune_common.http.routes import download_run_artifact

if __name__ == "__main__":
    serve(download_run_artifact.router)
