from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import export_settings

handler = http_function(export_settings.router)
