from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import read_run

handler = http_function(read_run.router)
