from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import list_run_events

handler = http_function(list_run_events.router)
