import Mux
import NetworkAddress
import TunnelCore

extension Binding {
    /// The URL at which the public finds a tunnel: `tcp://203.0.113.9:8022`, `udp://203.0.113.9:53`, `unix:/run/x.sock`, or
    /// `https://app.example.com`, which the server reports.
    ///
    /// Its host is the server's own name if the port is bound on all addresses of a family that leads to that name.
    /// Otherwise it is the first address of the binding.
    func url(_ endpoint: EndpointURL, _ transport: StreamTransport) -> String {
        if !urls.isEmpty { return urls }
        if address.contains("://") { return address }
        if address.hasPrefix("/") { return "unix:\(address)" }
        let addresses = address.split(separator: " ").map(String.init)
        let families =
            switch IPAddress(endpoint.host) {
            case .v4?: ["0.0.0.0"]
            case .v6?: ["::"]
            case nil: ["0.0.0.0", "::"]
            }
        let isForAll = addresses.contains(where: families.contains)
        let host = isForAll ? endpoint.host : addresses.first ?? endpoint.host
        return "\(transport.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// The host name in the URL of a name; nil if there is none.
    var publicName: String? {
        let parts = urls.split(separator: "/", maxSplits: 2)
        return parts.count > 1 ? parts[1].split(separator: ":").first.map(String.init) : nil
    }
}
