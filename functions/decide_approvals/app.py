from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import decide_approvals

handler = http_function(decide_approvals.router)
