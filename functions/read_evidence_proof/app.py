from rune_common.http.lambda_entry import http_function
from rune_common.http.routes import read_evidence_proof

handler = http_function(read_evidence_proof.router)
