from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import list_runs

handler = http_function(list_runs.router)
