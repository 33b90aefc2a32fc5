import HTTPRelay
import Mux
import NetworkAddress
import TunnelCore

/// Reads tunnels at host names: `http:NAME[/PATH]:SERVICE` and `tls:NAME:SERVICE`.
enum TunnelName {
    private static let form = "http:NAME:HOST:HOSTPORT or tls:NAME:HOST:HOSTPORT, for instance http:app:localhost:3000"

    /// The kind of a name that a word begins; nil for other words.
    static func relay(_ word: Substring) -> RequestedName.Relay? {
        switch word {
        case "http": .http
        case "tls": .tls
        default: nil
        }
    }

    /// Reads a tunnel behind its first word.
    static func spec(
        _ relay: RequestedName.Relay,
        _ parts: ArraySlice<Substring>,
        _ text: String
    ) throws(TunnelSpec.Malformed) -> TunnelSpec {
        func malformed(_ why: String) -> TunnelSpec.Malformed {
            TunnelSpec.Malformed("-R \(text): \(why); the form is \(form)")
        }
        guard let place = parts.first else { throw malformed("the name is missing") }
        let name = try name(relay, place, malformed)
        let service = parts.dropFirst()
        if service.count == 1, let socket = service.first, socket.hasPrefix("/") {
            return try self.spec(name, .unix(path: TunnelSpec.path(String(socket), malformed)))
        }
        guard service.last?.hasSuffix("/udp") != true else { throw malformed("a name carries no UDP") }
        let (host, ports) = try TunnelSpec.service(service, malformed)
        guard ports.count == 1 else { throw malformed("a name stands for one port") }
        return spec(name, .address(host: host, port: ports.lowerBound))
    }

    private static func spec(_ name: RequestedName, _ target: TunnelSpec.Target) -> TunnelSpec {
        var spec = TunnelSpec(port: 0, to: target)
        spec.name = name
        return spec
    }

    private static func name(
        _ relay: RequestedName.Relay,
        _ text: Substring,
        _ malformed: (String) -> TunnelSpec.Malformed
    ) throws(TunnelSpec.Malformed) -> RequestedName {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        guard let name = PublicName(text[..<slash]) else {
            throw malformed("\(text[..<slash]) is not a host name")
        }
        var request = RequestedName(relay, name.description)
        let path = String(text[slash...])
        guard path.utf8.count <= RequestedName.longestPath, path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !path.contains(where: { "?#".contains($0) })
        else { throw malformed("\(path) is not the beginning of a path") }
        guard path.isEmpty || relay == .http else { throw malformed("TLS that is passed through has no path") }
        request.path = path == "/" ? "" : path
        return request
    }
}
