import Logging
import Mux
import ProxyConnect
import Seal
import Testing
import TunnelCore

@testable import TunnelClient

/// Which dials ask for a sealed session, and for which keys.
@Suite("The seal of a dial")
struct DialSealTests {
    private static let pin = ServerKey().publicKey

    private static func route(
        _ policy: EncryptionPolicy,
        _ url: String,
        proxy: String? = nil,
        to connectTo: String? = nil,
        isPinned: Bool = false
    ) throws -> DialRoute {
        var configuration = ClientConfiguration(
            endpoints: [],
            tunnels: [],
            token: nil,
            instance: [UInt8](repeating: 0, count: 32)
        )
        configuration.encryption = policy
        configuration.serverKeys = isPinned ? [pin] : []
        configuration.connectTo = try connectTo.map { try ConnectAddress($0) }
        let context = DialContext(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let way = DialWay(endpoint: try EndpointURL(url), choice: try ProxyChoice(argument: proxy ?? "none"))
        return DialRoute(way, configuration, context)
    }

    private static let proxy = "http://proxy.example.com:3128"

    /// Hosts of loopback.
    private static let near = ["127.0.0.1", "127.1.2.3", "[::1]", "localhost", "LocalHost"]
    /// Others. A name that only looks like loopback is one of them.
    private static let far = [
        "tunnel.example.com", "localhost.example.com", "127.0.0.1.example.com", "192.0.2.7", "10.0.0.1", "128.0.0.1",
        "[2001:db8::1]", "[fe80::1]", "0.0.0.0", "[::]",
    ]

    @Test("auto: a session is sealed unless it goes to a loopback address, without a proxy", arguments: ["ws", "wss"])
    func auto(scheme: String) throws {
        for host in Self.near {
            let url = "\(scheme)://\(host):8443"
            #expect(try !Self.route(.auto, url).isSealed, "\(url)")
            #expect(try Self.route(.auto, url, proxy: Self.proxy).isSealed, "\(url) through a proxy")
            #expect(
                try Self.route(.auto, url, proxy: "socks5://127.0.0.1:1080").isSealed,
                "\(url) through a near proxy"
            )
            #expect(try Self.route(.auto, url, isPinned: true).isSealed, "\(url) with a pin")
        }
        for host in Self.far {
            let url = "\(scheme)://\(host):8443"
            #expect(try Self.route(.auto, url).isSealed, "\(url)")
            #expect(try Self.route(.auto, url, proxy: Self.proxy).isSealed, "\(url) through a proxy")
            #expect(try Self.route(.auto, url, isPinned: true).isSealed, "\(url) with a pin")
        }
    }

    @Test("auto: with connect-to, what is dialled decides, and not the URL")
    func connectTo() throws {
        let (near, far) = ("wss://localhost:8443", "wss://tunnel.example.com")
        #expect(try !Self.route(.auto, far, to: "127.0.0.1:8443").isSealed)
        #expect(try !Self.route(.auto, far, to: "[::1]:8443").isSealed)
        #expect(try Self.route(.auto, far, to: "127.0.0.1:8443", isPinned: true).isSealed)
        #expect(try Self.route(.auto, far, proxy: Self.proxy, to: "127.0.0.1:8443").isSealed)
        #expect(try Self.route(.auto, near, to: "192.0.2.7:8443").isSealed)
        #expect(try Self.route(.auto, near, to: "front.example.com:8443").isSealed)
    }

    @Test("required seals each session, and off none, whatever is dialled")
    func others() throws {
        for host in Self.near + Self.far {
            for proxy in [nil, Self.proxy] {
                for isPinned in [false, true] {
                    let url = "wss://\(host):8443"
                    let required = try Self.route(.required, url, proxy: proxy, isPinned: isPinned)
                    #expect(required.isSealed, "\(url) \(isPinned)")
                    let off = try Self.route(.off, url, proxy: proxy, isPinned: isPinned)
                    #expect(!off.isSealed, "\(url) \(isPinned)")
                }
            }
        }
    }

    /// The keys that a dial accepts; nil for any, empty without a seal.
    private static func keys(_ route: DialRoute) -> [ServerPublicKey]? {
        switch route.encryption {
        case .off: []
        case .anyKey: nil
        case .keys(let keys): keys
        }
    }

    @Test("A sealed dial accepts the pins alone, or else the key that this server has shown before, or else any")
    func keys() throws {
        let far = "wss://tunnel.example.com"
        #expect(Self.keys(try Self.route(.off, far, isPinned: true)) == [])
        #expect(Self.keys(try Self.route(.auto, "ws://127.0.0.1:8080")) == [])
        #expect(Self.keys(try Self.route(.auto, "ws://127.0.0.1:8080", isPinned: true)) == [Self.pin])
        #expect(Self.keys(try Self.route(.required, far, isPinned: true)) == [Self.pin])
        let route = try Self.route(.auto, far)
        #expect(Self.keys(route) == nil)
        let (key, logger) = (ServerKey().publicKey, route.context.logger)
        #expect(route.context.serverKeys.learn(key, of: "tunnel.example.com:8443", logger: logger))
        #expect(Self.keys(route) == nil, "another port is another server")
        #expect(route.context.serverKeys.learn(key, of: route.knownAs, logger: logger))
        #expect(Self.keys(route) == [key])
    }
}
