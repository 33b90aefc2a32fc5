/// The body of a request as JWS in flattened JSON serialization (RFC 7515, section 7.2.2; RFC 8555, section 6.2).
enum SignedBody {
    /// Who signs: a key that the CA does not know yet, or an account.
    enum Signer {
        case key
        case account(ACMEURL)
    }

    /// Signs a body.
    ///
    /// - Parameters:
    ///   - payload: the content; nil for a request that only reads (POST-as-GET).
    ///   - url: the resource: it is signed too, so that no request can be sent elsewhere.
    static func make(
        _ payload: JSONText?,
        for url: ACMEURL,
        nonce: String,
        by signer: Signer,
        with key: AccountKey
    ) throws -> [UInt8] {
        var header: [(String, JSONText)] = [("alg", .string("ES256"))]
        switch signer {
        case .key: header.append(("jwk", key.jwk))
        case .account(let account): header.append(("kid", .string(account.description)))
        }
        header += [("nonce", .string(nonce)), ("url", .string(url.description))]
        let protected = Base64URL.encoded(JSONText.object(header).text.utf8)
        let content = Base64URL.encoded((payload?.text ?? "").utf8)
        let signature = try key.signature(of: "\(protected).\(content)".utf8)
        let body = JSONText.object([
            ("protected", .string(protected)), ("payload", .string(content)),
            ("signature", .string(Base64URL.encoded(signature))),
        ])
        return Array(body.text.utf8)
    }
}
