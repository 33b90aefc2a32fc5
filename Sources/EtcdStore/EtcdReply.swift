import Cluster
import NIOCore

/// An answer that is no refusal.
struct EtcdReply: Sendable {
    /// The endpoint that has answered.
    let endpoint: EtcdEndpoint
    /// The body.
    let body: ByteBuffer
    /// Whether an earlier attempt may have done the same already.
    let isRepeated: Bool

    /// The body as a value.
    func decoded<Value: Decodable>(_ type: Value.Type) throws(StoreFailure) -> Value {
        guard let value = JSONBytes.decoded(type, body.readableBytesView) else { throw malformed("other JSON") }
        return value
    }

    /// The first line of a stream.
    func firstLine<Value: Decodable>(_ type: Value.Type) throws(StoreFailure) -> Value {
        let line = body.readableBytesView.prefix { $0 != UInt8(ascii: "\n") }
        guard let value = JSONBytes.decoded(StreamLine<Value>.self, line) else { throw malformed("other JSON") }
        if let error = value.error { throw Rejection(error, hiding: []).failure(of: endpoint) }
        guard let result = value.result else { throw malformed("a line without a result") }
        return result
    }

    /// The failure of an answer that makes no sense.
    func malformed(_ what: String) -> StoreFailure { .malformed("\(endpoint) answered with \(what)") }
}

/// Why a request has no answer.
enum RequestFailure: Error, Sendable {
    /// No endpoint has done it.
    case store(StoreFailure)
    /// An endpoint has refused it, and no other one would do it.
    case rejected(Rejection, EtcdEndpoint)

    /// The failure for the caller of the store.
    var failure: StoreFailure {
        switch self {
        case .store(let failure): failure
        case .rejected(let rejection, let endpoint): rejection.failure(of: endpoint)
        }
    }
}

extension ConnectionFailure {
    /// The failure for the caller of the store.
    func failure(of endpoint: EtcdEndpoint) -> StoreFailure {
        let text = "\(endpoint): \(words)"
        return switch kind {
        case .closed, .late: .unreachable(text)
        case .refused: .refused(text)
        case .malformed: .malformed(text)
        }
    }
}
