from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import change_settings

handler = http_function(change_settings.router)
