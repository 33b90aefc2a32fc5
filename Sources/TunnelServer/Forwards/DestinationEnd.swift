import Mux
import TunnelCore

/// The socket's side of a stream to a destination.
enum DestinationEnd {
    case pipe(StreamPipe)
    case flow(EgressFlow)

    var isPending: Bool {
        switch self {
        case .pipe(let pipe): pipe.isPending
        case .flow(let flow): flow.isPending
        }
    }

    var visitor: String {
        switch self {
        case .pipe(let pipe): pipe.identity.visitor
        case .flow(let flow): flow.identity.visitor
        }
    }

    var transport: StreamTransport {
        if case .flow = self { .udp } else { .tcp }
    }

    func fail(_ code: ResetCode) {
        switch self {
        case .pipe(let pipe): pipe.fail(code)
        case .flow(let flow): flow.fail(code)
        }
    }

    /// The stream is reset already.
    func abort(_ code: ResetCode) {
        switch self {
        case .pipe(let pipe): pipe.abort(code)
        case .flow(let flow): flow.ended(code)
        }
    }
}
