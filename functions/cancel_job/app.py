from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import cancel_job

handler = http_function(cancel_job.router)
