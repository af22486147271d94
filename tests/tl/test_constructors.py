"""Each constructor id is the CRC-32 of its line in the schema."""

from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from gnetway.tl.primitives import Constructor

#: Lines of the published schemas, with angle brackets, braces and semicolons taken off.
SCHEMA = """
req_pq nonce:int128 = ResPQ
req_pq_multi nonce:int128 = ResPQ
resPQ nonce:int128 server_nonce:int128 pq:bytes server_public_key_fingerprints:Vector long = ResPQ
p_q_inner_data pq:bytes p:bytes q:bytes nonce:int128 server_nonce:int128 new_nonce:int256 = P_Q_inner_data
p_q_inner_data_dc pq:bytes p:bytes q:bytes nonce:int128 server_nonce:int128 new_nonce:int256 dc:int = P_Q_inner_data
p_q_inner_data_temp pq:bytes p:bytes q:bytes nonce:int128 server_nonce:int128 new_nonce:int256 expires_in:int = P_Q_inner_data
p_q_inner_data_temp_dc pq:bytes p:bytes q:bytes nonce:int128 server_nonce:int128 new_nonce:int256 dc:int expires_in:int = P_Q_inner_data
req_DH_params nonce:int128 server_nonce:int128 p:bytes q:bytes public_key_fingerprint:long encrypted_data:bytes = Server_DH_Params
server_DH_params_ok nonce:int128 server_nonce:int128 encrypted_answer:bytes = Server_DH_Params
server_DH_inner_data nonce:int128 server_nonce:int128 g:int dh_prime:bytes g_a:bytes server_time:int = Server_DH_inner_data
client_DH_inner_data nonce:int128 server_nonce:int128 retry_id:long g_b:bytes = Client_DH_Inner_Data
set_client_DH_params nonce:int128 server_nonce:int128 encrypted_data:bytes = Set_client_DH_params_answer
dh_gen_ok nonce:int128 server_nonce:int128 new_nonce_hash1:int128 = Set_client_DH_params_answer
dh_gen_retry nonce:int128 server_nonce:int128 new_nonce_hash2:int128 = Set_client_DH_params_answer
dh_gen_fail nonce:int128 server_nonce:int128 new_nonce_hash3:int128 = Set_client_DH_params_answer
destroy_auth_key = DestroyAuthKeyRes
destroy_auth_key_ok = DestroyAuthKeyRes
destroy_auth_key_none = DestroyAuthKeyRes
destroy_auth_key_fail = DestroyAuthKeyRes
bind_auth_key_inner nonce:long temp_auth_key_id:long perm_auth_key_id:long temp_session_id:long expires_at:int = BindAuthKeyInner
auth.bindTempAuthKey perm_auth_key_id:long nonce:long expires_at:int encrypted_message:bytes = Bool
vector t:Type # [ t ] = Vector t
boolTrue = Bool
boolFalse = Bool
msg_container messages:vector message = MessageContainer
gzip_packed packed_data:bytes = Object
rpc_result req_msg_id:long result:Object = RpcResult
rpc_error error_code:int error_message:string = RpcError
rpc_drop_answer req_msg_id:long = RpcDropAnswer
rpc_answer_unknown = RpcDropAnswer
rpc_answer_dropped_running = RpcDropAnswer
rpc_answer_dropped msg_id:long seq_no:int bytes:int = RpcDropAnswer
msgs_ack msg_ids:Vector long = MsgsAck
msgs_state_req msg_ids:Vector long = MsgsStateReq
msgs_state_info req_msg_id:long info:bytes = MsgsStateInfo
msgs_all_info msg_ids:Vector long info:bytes = MsgsAllInfo
msg_detailed_info msg_id:long answer_msg_id:long bytes:int status:int = MsgDetailedInfo
msg_new_detailed_info answer_msg_id:long bytes:int status:int = MsgDetailedInfo
msg_resend_req msg_ids:Vector long = MsgResendReq
bad_msg_notification bad_msg_id:long bad_msg_seqno:int error_code:int = BadMsgNotification
bad_server_salt bad_msg_id:long bad_msg_seqno:int error_code:int new_server_salt:long = BadMsgNotification
ping ping_id:long = Pong
pong msg_id:long ping_id:long = Pong
ping_delay_disconnect ping_id:long disconnect_delay:int = Pong
new_session_created first_msg_id:long unique_id:long server_salt:long = NewSession
get_future_salts num:int = FutureSalts
future_salts req_msg_id:long now:int salts:vector future_salt = FutureSalts
future_salt valid_since:int valid_until:int salt:long = FutureSalt
http_wait max_delay:int wait_after:int max_wait:int = HttpWait
destroy_session session_id:long = DestroySessionRes
destroy_session_ok session_id:long = DestroySessionRes
destroy_session_none session_id:long = DestroySessionRes
invokeWithLayer X:Type layer:int query:!X = X
initConnection X:Type flags:# api_id:int device_model:string system_version:string app_version:string system_lang_code:string lang_pack:string lang_code:string proxy:flags.0?InputClientProxy params:flags.1?JSONValue query:!X = X
invokeWithoutUpdates X:Type query:!X = X
invokeAfterMsg X:Type msg_id:long query:!X = X
invokeAfterMsgs X:Type msg_ids:Vector long query:!X = X
inputClientProxy address:string port:int = InputClientProxy
jsonNull = JSONValue
jsonBool value:Bool = JSONValue
jsonNumber value:double = JSONValue
jsonString value:string = JSONValue
jsonArray value:Vector JSONValue = JSONValue
jsonObject value:Vector JSONObjectValue = JSONValue
jsonObjectValue key:string value:JSONValue = JSONObjectValue
auth.dropTempAuthKeys except_auth_keys:Vector long = Bool
help.getConfig = Config
help.getNearestDc = NearestDc
"""  # noqa: E501


def plain(name: str) -> str:
    """A name without its dots, underscores and upper case: resPQ and RES_PQ are one."""
    return name.replace("_", "").replace(".", "").lower()


class ConstructorTests(SynchronousTestCase):
    def test_ids_follow_from_the_schema(self) -> None:
        """The CRC takes bytes for string: the type is younger than the ids."""
        derived = {
            plain(line.split()[0]): crc32(line.replace(":bytes", ":string").encode())
            for line in SCHEMA.strip().splitlines()
        }
        self.assertEqual({plain(member.name): member.value for member in Constructor}, derived)
