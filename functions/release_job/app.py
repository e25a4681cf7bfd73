from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import release_job

handler = http_function(release_job.router)
