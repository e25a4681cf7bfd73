from rune_common.http.lambda_entry import serve
from rune_common.http.routes import stream_run_events

if __name__ == "__main__":
    serve(stream_run_events.router)
