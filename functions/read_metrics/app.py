from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import read_metrics

handler = http_function(read_metrics.router)
