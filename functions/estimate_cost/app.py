from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import estimate_cost

handler = http_function(estimate_cost.router)
