from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import open_terminal

handler = http_function(open_terminal.router)
