from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import list_llm_models

handler = http_function(list_llm_models.router)
