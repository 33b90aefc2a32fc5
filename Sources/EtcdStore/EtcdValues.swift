import ByteText
import Cluster

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A claim without its key, as JSON.
struct ClaimValue: Codable {
    var home: String
    var session: String
    var tunnel: UInt16
    var client: String
    var since: Int64

    init(_ claim: Claim) {
        home = claim.home.description
        session = Base16.encoded(claim.session)
        (tunnel, client, since) = (claim.tunnel, claim.client, claim.since)
    }

    /// The claim; nil if a value is out of its bounds.
    func claim(_ key: ClaimKey) -> Claim? {
        guard let home = ServerID(home), session.utf8.count <= 2 * EtcdLimits.session,
            let session = Base16.decoded(session), client.utf8.count <= EtcdLimits.text
        else { return nil }
        return Claim(key, home: home, session: session, tunnel: tunnel, client: client, since: since)
    }
}

/// A server's record without its id, as JSON.
struct ServerValue: Codable {
    var peerURL: String
    var draining: Bool
    var version: String
    var since: Int64

    private enum CodingKeys: String, CodingKey {
        case peerURL = "peer_url"
        case draining, version, since
    }

    init(_ record: ServerRecord) {
        (peerURL, draining) = (record.peerURL, record.isDraining)
        (version, since) = (record.version, record.since)
    }

    /// The record; nil if a value is out of its bounds.
    func record(_ id: ServerID) -> ServerRecord? {
        guard peerURL.utf8.count <= EtcdLimits.text, version.utf8.count <= EtcdLimits.text else { return nil }
        return ServerRecord(id, peerURL: peerURL, isDraining: draining, version: version, since: since)
    }
}

/// JSON in bytes.
enum JSONBytes {
    /// Encodes a value of our own, with sorted keys. Nil if it has a text or a number that JSON has not.
    static func encoded(_ value: some Encodable) -> [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { Array($0) }
    }

    /// Decodes bytes of a peer; nil if they are malformed.
    static func decoded<Value: Decodable>(_ type: Value.Type, _ bytes: some Sequence<UInt8>) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
