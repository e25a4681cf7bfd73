from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import upload_run_artifact

handler = http_function(upload_run_artifact.router)
