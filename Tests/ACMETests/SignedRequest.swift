import Crypto
import Foundation

@testable import ACME

/// A signed request as a CA reads it.
struct Signed {
    struct Refusal: Error {
        let status: Int
        let type: String
    }

    let payload: String
    let nonce: String
    let url: String
    let account: String?
    let key: P256.Signing.PublicKey

    static func read(_ body: [UInt8], _ accounts: [String: P256.Signing.PublicKey]) -> Result<Signed, Refusal> {
        let malformed = Refusal(status: 400, type: "malformed")
        guard let outer = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: String],
            let protected = outer["protected"], let payload = outer["payload"], let signature = outer["signature"],
            let header = Base64URL.decoded(protected).flatMap({
                try? JSONSerialization.jsonObject(with: Data($0)) as? [String: Any]
            }), header["alg"] as? String == "ES256", let nonce = header["nonce"] as? String,
            let url = header["url"] as? String, let bytes = Base64URL.decoded(signature),
            let content = Base64URL.decoded(payload)
        else { return .failure(malformed) }
        let account = header["kid"] as? String
        let key: P256.Signing.PublicKey
        if let account {
            guard header["jwk"] == nil else { return .failure(malformed) }
            guard let known = accounts[account] else {
                return .failure(Refusal(status: 400, type: "accountDoesNotExist"))
            }
            key = known
        } else {
            guard let jwk = header["jwk"] as? [String: String], jwk["crv"] == "P-256",
                let x = jwk["x"].flatMap({ Base64URL.decoded($0) }),
                let y = jwk["y"].flatMap({ Base64URL.decoded($0) }),
                let read = try? P256.Signing.PublicKey(rawRepresentation: x + y)
            else { return .failure(malformed) }
            key = read
        }
        guard let read = try? P256.Signing.ECDSASignature(rawRepresentation: bytes),
            key.isValidSignature(read, for: Data("\(protected).\(payload)".utf8))
        else { return .failure(malformed) }
        return .success(
            Signed(
                payload: String(decoding: content, as: UTF8.self),
                nonce: nonce,
                url: url,
                account: account,
                key: key
            )
        )
    }
}

extension Base64URL {
    static func decoded(_ text: String) -> [UInt8]? {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        return Data(base64Encoded: standard + padding).map(Array.init)
    }
}

extension AccountKey {
    static func thumbprint(of key: P256.Signing.PublicKey) -> String {
        let point = Array(key.rawRepresentation)
        let text =
            #"{"crv":"P-256","kty":"EC","x":"\#(Base64URL.encoded(point.prefix(32)))","y":"\#(Base64URL.encoded(point.suffix(32)))"}"#
        return Base64URL.encoded(SHA256.hash(data: Data(text.utf8)))
    }
}
