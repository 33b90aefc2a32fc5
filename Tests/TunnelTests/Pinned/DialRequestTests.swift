import HTTP1
import Logging
import Mux
import NIOCore
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// The upgrade request of a client, except for its random key.
@Suite("A client's upgrade request") struct DialRequestTests {
    @Test("The request has these fields in this order and spelling")
    func request() throws {
        var lines: [String] = []
        for url in ["wss://tunnel.example.com", "ws://[2001:db8::1]:8080/a/b?c=d"] {
            for (isCompressing, fields) in [(false, []), (true, [("X-Extra", "yes"), ("User-Agent", "another")])] {
                var configuration = ClientConfiguration(
                    endpoints: [],
                    tunnels: [],
                    token: nil,
                    instance: Array(repeating: 0, count: 32)
                )
                configuration.userAgent = "culvert/1.2.3"
                configuration.isCompressing = isCompressing
                // A sealed session is not compressed.
                configuration.encryption = isCompressing ? .off : .auto
                configuration.fields = try HeaderFields(fields)
                lines.append("# \(url)")
                lines += try head(url, configuration)
            }
        }
        let path = "websocket/transcripts/dial.transcript"
        let difference = try GoldenFile.difference(of: lines, from: path)
        #expect(difference == nil, "\(difference ?? "")")
    }

    private func head(_ url: String, _ configuration: ClientConfiguration) throws -> [String] {
        let context = DialContext(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let way = DialWay(endpoint: try EndpointURL(url), choice: try ProxyChoice(argument: "none"))
        let route = DialRoute(way, configuration, context)
        let request = try route.upgrade().request()
        let fields = request.fields.map { name, value in
            "\(name): \(name == "Sec-WebSocket-Key" ? "(\(value.utf8.count) characters)" : value)"
        }
        return ["\(request.method) \(request.target) \(request.version)"] + fields
    }
}
