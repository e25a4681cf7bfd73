from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import complete_run

handler = http_function(complete_run.router)
