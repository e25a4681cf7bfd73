from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import answer_interaction

handler = http_function(answer_interaction.router)
