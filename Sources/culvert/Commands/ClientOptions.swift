import ArgumentParser
import ProxyConnect
import Tunnel

/// The flags of `culvert client`, checked as far as that is possible without any file.
struct ClientOptions: ParsableArguments {
    @Argument(help: "The server, for instance wss://tunnel.example; several are tried in order.")
    var url: [String] = []

    @Option(
        name: [.customShort("R"), .customLong("remote")],
        help: """
            Publish a service: [BIND:]PORT:HOST:HOSTPORT or [BIND:]PORT:/SOCKET, for instance 8022:localhost:22, or a range \
            of ports, 8000-8010:localhost:8000-8010. /udp behind HOSTPORT stands for UDP, and /SOCKET before the service for \
            a Unix socket at the server. [BIND:]PORT alone is a SOCKS proxy towards this network. May be repeated.
            """
    )
    var remote: [String] = []

    @Option(
        name: [.customShort("L"), .customLong("local")],
        help: """
            Listen here, and let the server connect: [BIND:]PORT:HOST:HOSTPORT, for instance 5432:db.internal:5432, or a \
            range of ports; /SOCKET may stand for either end, and /udp behind it for UDP. May be repeated.
            """
    )
    var local: [String] = []

    @Option(
        name: [.customShort("D"), .customLong("dynamic")],
        help:
            """
            Listen here as a SOCKS 5, 4 and 4a proxy, with SOCKS 5 also for UDP, from which the server connects: \
            [BIND:]PORT; may be repeated.
            """
    )
    var dynamic: [String] = []

    @Option(
        name: [.customShort("W"), .customLong("stdio")],
        help: """
            Join standard input and output to HOST:PORT or /SOCKET, as the server sees it, and exit with that stream: \
            ssh -o ProxyCommand='culvert client URL -W %h:%p'.
            """
    )
    var stdio: String?

    @Option(
        help: """
            A destination that visitors of -R PORT may reach from here, for instance 10.1.0.0/16:443; may be repeated. \
            (default: none)
            """
    )
    var allowOpen: [String] = []

    @Flag(help: "Exit with 78 if a local port cannot be bound, and with 77 if the server does not bind one of -R.")
    var exitOnForwardFailure = false

    @Option(help: "A file with the token that the server knows.")
    var tokenFile: String?

    @Option(help: "A name that distinguishes this user's clients on this machine.")
    var name: String?

    @Option(
        help: """
            The client's identity on any machine, for containers: a value, or a file (with a / in its path), which is \
            created with a random value. (default: made from the machine and the user)
            """
    )
    var instance: String?

    @Option(
        help: """
            Serve metrics and health at ADDR:PORT or unix:PATH, the latter also for `culvert status`; may be repeated. \
            There is a standard socket besides, unless one is none.
            """
    )
    var admin: [String] = []

    @Option(help: "A configuration in TOML; flags win over it.")
    var config: String?

    @Option(
        help: """
            The proxy: http://, https://, socks5:// or socks5h://HOST:PORT; a script that names proxies, \
            pac+http://HOST/PATH or pac+file:///PATH; or none. Several are tried in order. \
            (default: the environment's)
            """
    )
    var proxy: [String] = []

    @Option(help: "The scheme for the proxy: auto, basic, digest, ntlm or negotiate. (default: auto)")
    var proxyAuth: String?

    @Option(help: "USER or USER:PASSWORD for the proxy.")
    var proxyUser: String?

    @Option(help: "A file with the proxy's password.")
    var proxyPasswordFile: String?

    @Flag(help: "Read the proxy's credentials from ~/.netrc, or from the file that NETRC names.")
    var netrc = false

    @Option(help: "A certificate of yours for a proxy that asks for one, PEM or DER.")
    var proxyCertificate: String?

    @Option(help: "The key of that certificate, PEM or DER.")
    var proxyKey: String?

    @Option(help: "An additional field of the CONNECT request, 'Name: value'; may be repeated.")
    var proxyHeader: [String] = []

    @Option(help: "A CA to trust in addition to the system's, PEM or DER; may be repeated.")
    var ca: [String] = []

    @Option(help: "A certificate of yours for a server that asks for one, PEM or DER.")
    var tlsCertificate: String?

    @Option(help: "The key of that certificate, PEM or DER.")
    var tlsKey: String?

    @Option(
        help: """
            The key exchanges to offer, in order, separated by commas: X25519MLKEM768, X25519, P-256, P-384, P-521. \
            (default: all)
            """
    )
    var tlsGroups: String?

    @Option(help: "The newest version of TLS to speak, 1.2 or 1.3. (default: 1.3)")
    var tlsMaxVersion: String?

    @Option(
        help: """
            Dial HOST:PORT in place of the URL's host and port, directly or through the proxy; the certificate must \
            still be for the URL's host.
            """
    )
    var connectTo: String?

    @Flag(help: "Trust only the CAs given with --ca.")
    var caOnly = false

    @Option(help: "An additional field of the upgrade request, 'Name: value'; may be repeated.")
    var header: [String] = []

    @Option(help: "The User-Agent of CONNECT and the upgrade.")
    var userAgent: String?

    @Option(
        help: """
            Whether the session is sealed end to end: auto leaves the seal off only if the client dials a loopback \
            address without a proxy and without --server-key, required never, off always. (default: auto)
            """
    )
    var encryption: String?

    @Option(
        help: """
            The server's public key, culvert-key-1:..., as `culvert key` prints it; may be repeated, and any of them is \
            right. (default: the key of the first session is remembered)
            """
    )
    var serverKey: [String] = []

    @Flag(help: "Compress the tunnel's messages; useful for data that is not compressed or encrypted already.")
    var compress = false

    @Option(help: "Tries after a failed one before the client exits with 69. (default: no limit)")
    var maxRetries: Int?

    @Flag(help: "Exit with 77 at every refusal, also after a session has worked.")
    var exitOnRefusal = false

    @Option(
        help: "Replace each WebSocket at this age, for instance 55m, before the proxy cuts it. (default: learned)"
    )
    var maxCarrierAge: String?

    @Option(
        help: """
            The WebSockets of the session at a time: a number, a range such as 2-4, or auto, which starts with one and \
            adds others, up to five, for bulk beside interactive traffic and for throughput. (default: auto)
            """
    )
    var carriers: String?

    @Option(
        help: """
            The way of further WebSockets: same, or spread over other proxies of the list and other addresses of the \
            server's name. (default: same)
            """
    )
    var carriersOver: String?

    @OptionGroup var log: LogOptions

    /// Below the range the client would only dial; above it the age has no effect.
    static let carrierAges: ClosedRange<Duration> = .seconds(1) ... .seconds(86_400)

    func validate() throws {
        do throws(TunnelSpec.Malformed) { _ = try tunnels() } catch { throw ValidationError("\(error)") }
        do throws(ForwardSpec.Malformed) { _ = try forwards() } catch { throw ValidationError("\(error)") }
        _ = try stdioDestination()
        for text in url {
            do throws(EndpointURL.Malformed) { _ = try EndpointURL(text) } catch { throw ValidationError("\(error)") }
        }
        for text in proxy {
            do throws(ProxySource.Malformed) { _ = try ProxySource(text) } catch {
                throw ValidationError("--proxy: \(error)")
            }
        }
        _ = try carrierAge()
        _ = try carrierCount()
        _ = try carrierSpread()
        try validateEncryption()
        if let tlsGroups { _ = try TLSOptions.groups(tlsGroups) { ValidationError("--tls-groups: \($0)") } }
        if let tlsMaxVersion {
            _ = try TLSOptions.version(tlsMaxVersion) { ValidationError("--tls-max-version: \($0)") }
        }
        if let connectTo { _ = try TLSOptions.address(connectTo) { ValidationError("--connect-to: \($0)") } }
        if let maxRetries, maxRetries < 0 { throw ValidationError("--max-retries cannot be negative") }
        if let proxyAuth { _ = try Self.schemes(proxyAuth) { ValidationError("--proxy-auth \(proxyAuth): \($0)") } }
    }

    /// Checks that a URL is given, unless a configuration may have it.
    func validateURL() throws(ValidationError) {
        guard config == nil, url.isEmpty else { return }
        throw ValidationError("give the server's URL, for instance wss://tunnel.example")
    }

    /// Checks that there is something to do, unless a configuration may have it.
    func validateForwards() throws(ValidationError) {
        guard config == nil, remote.isEmpty, local.isEmpty, dynamic.isEmpty, stdio == nil else { return }
        throw ValidationError(
            "give at least one of -R, -L, -D and -W, for instance -R 8022:localhost:22 or -W db.internal:5432"
        )
    }

    /// The age of `--max-carrier-age`.
    func carrierAge() throws(ValidationError) -> Duration? {
        guard let maxCarrierAge else { return nil }
        guard let age = Duration(words: maxCarrierAge), Self.carrierAges.contains(age) else {
            throw ValidationError("--max-carrier-age \(maxCarrierAge): expected a time such as 55m, 90s or 2h")
        }
        return age
    }

    /// The number of `--carriers`.
    func carrierCount() throws(ValidationError) -> CarrierCount? {
        guard let carriers else { return nil }
        return try CarrierOptions.count(carriers) { ValidationError("--carriers \(carriers): \($0)") }
    }

    /// The ways of `--carriers-over`.
    func carrierSpread() throws(ValidationError) -> CarrierSpread? {
        guard let carriersOver else { return nil }
        return try CarrierOptions.spread(carriersOver) { ValidationError("--carriers-over \(carriersOver): \($0)") }
    }

    /// The policy of `--encryption`.
    func encryptionPolicy() throws(ValidationError) -> EncryptionPolicy? {
        guard let encryption else { return nil }
        return try EncryptionOptions.policy(encryption) { ValidationError("--encryption \(encryption): \($0)") }
    }

    /// The keys of `--server-key`.
    func serverKeys() throws(ValidationError) -> [ServerPublicKey] {
        var keys: [ServerPublicKey] = []
        for (number, text) in serverKey.enumerated() {
            let place = serverKey.count > 1 ? "--server-key \(number + 1)" : "--server-key"
            keys.append(try EncryptionOptions.key(text) { ValidationError("\(place): \($0)") })
        }
        return keys
    }

    /// Checks what flags alone say of the seal. ``ClientSettings`` checks them together with the file.
    private func validateEncryption() throws(ValidationError) {
        let keys = try serverKeys()
        guard let policy = try encryptionPolicy(),
            let conflict = EncryptionOptions.conflict(policy, hasKeys: !keys.isEmpty, isCompressing: compress)
        else { return }
        throw ValidationError("\(conflict.flags): \(conflict.description)")
    }

    /// The tunnels of all `-R`.
    func tunnels() throws(TunnelSpec.Malformed) -> [TunnelSpec] {
        var tunnels: [TunnelSpec] = []
        for text in remote {
            let range = try TunnelSpec.list(text)
            if let other = TunnelSpec.collision(range, tunnels) {
                throw TunnelSpec.Malformed(
                    "-R \(text): the same public \(other.isAtPath ? "socket" : "port") as that of -R \(other)"
                )
            }
            tunnels += range
        }
        return tunnels
    }

    /// The forwards of all `-L` and `-D`.
    func forwards() throws(ForwardSpec.Malformed) -> [ForwardSpec] {
        var forwards: [ForwardSpec] = []
        for text in local { forwards += try ForwardSpec.list(text) }
        for text in dynamic { forwards.append(try ForwardSpec.socks(text)) }
        return forwards
    }

    /// The destination of `-W`.
    func stdioDestination() throws(ValidationError) -> Destination? {
        guard let stdio else { return nil }
        guard let destination = Destination(stdio) ?? Self.unbracketed(stdio) else {
            throw ValidationError("-W \(stdio): the form is HOST:PORT or /SOCKET, for instance db.internal:5432")
        }
        return destination
    }

    /// An IPv6 address and a port without brackets, as ssh's `%h:%p` writes them.
    private static func unbracketed(_ text: String) -> Destination? {
        guard let colon = text.lastIndex(of: ":"), text[..<colon].contains(":") else { return nil }
        return Destination("[\(text[..<colon])]\(text[colon...])")
    }

    /// The schemes that a text such as `auto` or `ntlm` permits.
    ///
    /// - Parameter problem: makes an error from a description.
    static func schemes<Problem: Error>(
        _ text: String,
        _ problem: (String) -> Problem
    ) throws(Problem) -> Set<ProxyScheme> {
        if text == "auto" { return ProxyScheme.all }
        guard let scheme = ProxyScheme(rawValue: text) else {
            throw problem("give auto, basic, digest, ntlm or negotiate")
        }
        return [scheme]
    }
}
