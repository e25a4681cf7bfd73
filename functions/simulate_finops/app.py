from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import simulate_finops

handler = http_function(simulate_finops.router)
