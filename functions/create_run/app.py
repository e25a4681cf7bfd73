from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import create_run

handler = http_function(create_run.router)
