from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import list_vastai_models

handler = http_function(list_vastai_models.router)
