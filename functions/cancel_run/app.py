from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import cancel_run

handler = http_function(cancel_run.router)
