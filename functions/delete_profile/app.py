from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import delete_profile

handler = http_function(delete_profile.router)
