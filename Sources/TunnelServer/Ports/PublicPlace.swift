import Mux

/// A place of this machine that one session at a time may publish.
enum PublicPlace: Sendable, Hashable, CustomStringConvertible {
    /// A TCP port.
    case port(UInt16)
    /// A UDP port.
    case udp(UInt16)
    /// A Unix socket.
    case path(String)
    /// A host name.
    case name(NamePlace)

    /// The place that a client asks for, with another port if it left that to the server.
    init(_ request: BindRequest, port: UInt16? = nil) {
        self =
            if let name = request.name {
                .name(NamePlace(name))
            } else if request.isForPath {
                .path(request.address)
            } else if request.kind == .udp {
                .udp(port ?? request.port)
            } else {
                .port(port ?? request.port)
            }
    }

    /// The port; 0 for a Unix socket and for a name.
    var port: UInt16 {
        switch self {
        case .port(let port), .udp(let port): port
        case .path, .name: 0
        }
    }

    /// `port 8022`, `UDP port 5353`, the path or `http:app.example.com`, for people.
    var description: String {
        switch self {
        case .port(let port): "port \(port)"
        case .udp(let port): "UDP port \(port)"
        case .path(let path): path
        case .name(let name): name.description
        }
    }
}
