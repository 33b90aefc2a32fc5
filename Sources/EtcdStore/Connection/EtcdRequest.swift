import HTTP1
import NIOCore
import TunnelCore

/// A request to the JSON gateway.
struct EtcdRequest: Sendable {
    /// The path: `/v3/kv/range`.
    let path: String
    /// The body, JSON.
    let body: [UInt8]

    init(_ path: String, _ body: some Encodable) {
        self.path = path
        // Numbers, Base64 and texts always have a form in JSON.
        self.body = JSONBytes.encoded(body) ?? []
    }

    /// The bytes on the wire.
    ///
    /// - Throws: if the token has a character that a field cannot have.
    func serialized(for endpoint: EtcdEndpoint, token: String?) throws(HTTP1Error) -> ByteBuffer {
        var fields = try HeaderFields([
            ("Host", endpoint.place.description), ("User-Agent", softwareName), ("Accept", "application/json"),
            ("Content-Type", "application/json"), ("Content-Length", "\(body.count)"),
            // A member without a leader refuses at once, and ends a watch.
            ("Grpc-Metadata-hasleader", "true"),
        ])
        if let token { try fields.append("Authorization", token) }
        var bytes = ByteBuffer()
        try RequestHead(method: "POST", target: path, fields: fields).serialize(into: &bytes)
        bytes.writeBytes(body)
        return bytes
    }
}
