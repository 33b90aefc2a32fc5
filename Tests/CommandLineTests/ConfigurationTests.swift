import Foundation
import Mux
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer
@testable import culvert

@Suite("Configuration files")
struct ConfigurationTests {
    private static let fixtures = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/configuration")

    /// Writes a configuration, gives its path to the body, and removes it.
    private func with(_ text: String, _ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func server(_ arguments: [String]) throws -> ServerConfiguration {
        try ServerCommand.parse(arguments).configuration()
    }

    private func client(_ arguments: [String]) throws -> ClientConfiguration {
        try ClientCommand.parse(arguments).configuration()
    }

    @Test("the sample of a server's configuration is valid")
    func serverSample() throws {
        let configuration = try server(["--config", Self.fixtures.appendingPathComponent("server.toml").path])
        #expect(configuration.clients.map(\.name) == ["workshop"])
        #expect(configuration.allowedPorts.description == "8022,8081-8999")
        guard case .tcp(_, let endpoint)? = configuration.listen.first else { throw CancellationError() }
        #expect(!configuration.allowedPorts.contains(endpoint), "the endpoint's own port is not a public port")
        #expect(configuration.clients[0].allowedPorts?.description == "8022,8081")
    }

    @Test("the sample of a client's configuration is valid")
    func clientSample() async throws {
        let configuration = try client(["--config", Self.fixtures.appendingPathComponent("client.toml").path])
        #expect(configuration.endpoints.map(\.description) == ["wss://tunnel.example/tunnel"])
        #expect(configuration.tunnels.map(\.description) == ["8022:localhost:22", "127.0.0.1:8081:localhost:80"])
        let proxies = try await configuration.proxies(configuration.endpoints[0])
        #expect(proxies.map(\.description) == ["http://proxy.example:3128"])
    }

    @Test("compression is off by default, and with --compress each message is compressed by itself")
    func compression() throws {
        let tunnel = "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
        try with("url = \"ws://h\"\n" + tunnel) { path in
            let plain = try client(["--config", path])
            #expect(!plain.isCompressing)
            let compressing = try client(["--config", path, "--compress"])
            #expect(compressing.isCompressing && !compressing.sharesCompression)
        }
        try with("url = \"ws://h\"\ncompress = true\ncompress_shared = true\n" + tunnel) { path in
            let shared = try client(["--config", path])
            #expect(shared.isCompressing && shared.sharesCompression)
        }
        try with("listen = \"127.0.0.1:1\"\ncompress_shared = true\n") { path in
            let sharing = try server(["--config", path])
            #expect(sharing.sharesCompression)
        }
        try with("listen = \"127.0.0.1:1\"\n") { path in
            let plain = try server(["--config", path])
            #expect(!plain.sharesCompression)
        }
    }

    @Test("event loops poll busily only if the configuration requests it")
    func busyPolling() throws {
        let tunnel = "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
        for (line, expected) in [("", false), ("busy_polling = true\n", true), ("busy_polling = false\n", false)] {
            try with("url = \"ws://h\"\n" + line + tunnel) { path in
                let client = try client(["--config", path])
                #expect(client.pollsBusily == expected)
            }
            try with("listen = \"127.0.0.1:1\"\n" + line) { path in
                let server = try server(["--config", path])
                #expect(server.pollsBusily == expected)
            }
        }
    }

    @Test(
        "the number of carriers is automatic by default, and a flag wins over the key",
        arguments: [
            ("", [], "auto"), ("carriers = 3\n", [], "3"), ("carriers = \"2-4\"\n", [], "2-4"),
            ("carriers = 3\n", ["--carriers", "auto"], "auto"), ("", ["--carriers", "16"], "16"),
        ]
    )
    func carriers(line: String, flags: [String], expected: String) throws {
        try with("url = \"ws://h\"\n" + line + "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n") { path in
            let configuration = try client(["--config", path] + flags)
            #expect(configuration.carriers.description == expected)
        }
    }

    @Test("further carriers take the way of the first one, unless the file or the flag spreads them")
    func carriersOver() throws {
        let tunnel = "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
        try with("url = \"ws://h\"\n" + tunnel) { path in
            let (plain, flag) = (
                try client(["--config", path]), try client(["--config", path, "--carriers-over", "spread"])
            )
            #expect(plain.carriersOver == .same && flag.carriersOver == .spread)
        }
        try with("url = \"ws://h\"\ncarriers_over = \"spread\"\n" + tunnel) { path in
            let (key, flag) = (
                try client(["--config", path]), try client(["--config", path, "--carriers-over", "same"])
            )
            #expect(key.carriersOver == .spread && flag.carriersOver == .same)
        }
    }

    @Test("a client has sessions with one server, unless the file says more", arguments: [1, 2, 4])
    func servers(count: Int) throws {
        let line = count == 1 ? "" : "servers = \(count)\n"
        try with("url = \"ws://h\"\n" + line + "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n") { path in
            let configuration = try client(["--config", path])
            #expect(configuration.servers == count)
        }
    }

    @Test(
        "the error about a wrong flag of carriers has its value and the right forms",
        arguments: [
            ("--carriers", "17", "--carriers 17: expected auto, a number from 1 to 16, or a range such as 2-4"),
            ("--carriers", "0", "--carriers 0: expected auto,"),
            ("--carriers", "4-2", "--carriers 4-2: expected auto,"),
            ("--carriers-over", "both", "--carriers-over both: expected same or spread"),
        ]
    )
    func wrongCarriers(flag: String, value: String, expected: String) {
        #expect {
            try ClientCommand.parse(["ws://h", "-R", "1:x:1", flag, value])
        } throws: {
            ClientCommand.fullMessage(for: $0).contains(expected)
        }
    }

    @Test("flags win over the file")
    func flagsWin() throws {
        try with("listen = \"127.0.0.1:1\"\npath = \"/file\"\nallow_ports = \"1-2\"\n") { path in
            let configuration = try server(["--config", path, "--listen", "127.0.0.1:2", "--path", "/flag"])
            #expect(configuration.listen == [.tcp(host: "127.0.0.1", port: 2)])
            #expect(configuration.path == "/flag")
            #expect(configuration.allowedPorts.description == "1-2")
        }
    }

    @Test(
        "a mistake is reported with its line",
        arguments: [
            ("listen = \"127.0.0.1:1\"\nlisten_on = 3\n", ":2: listen_on: unknown key"),
            ("# first\n\nlisten = 8080\n", ":3: listen: expected a string"),
            ("listen = \"nowhere\"\n", ":1: listen: nowhere: expected ADDR:PORT"),
            ("listen = \"127.0.0.1:1\"\nallow_ports = \"9-1\"\n", ":2: allow_ports: expected ports"),
            ("[[client]]\nname = \"a\"\nverifier = \"x\"\n", ":3: client.verifier: expected the verifier line"),
            ("[[client]]\nverifier = \"x\"\n", ":1: client.name: missing"),
            ("listen = \"127.0.0.1:1\n", ":1: Error while parsing"),
            ("listen = \"127.0.0.1:1\"\n[[client", ":2: Error while parsing"),
            ("listen = \"127.0.0.1:1\"\npublic_address = \"a.invalid\"\n", "a.invalid is not an IP address"),
            ("path = \"tunnel\"\nlisten = \"127.0.0.1:1\"\n", "the path tunnel must begin with /"),
        ]
    )
    func wrongServerFiles(text: String, expected: String) throws {
        try with(text) { path in
            #expect { try server(["--config", path]) } throws: {
                let failure = Failure($0)
                return failure.status == .configuration && failure.description.contains(expected)
            }
        }
    }

    @Test(
        "a mistake in a client's file is reported too",
        arguments: [
            ("url = \"ws://127.0.0.1:1\"\n", "no tunnel"),
            ("url = \"nowhere\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n", ":1: url: nowhere is not a URL"),
            (
                "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n[[tunnel]]\nlocl = \"x\"\nremote = \"2\"\n",
                ":6: tunnel.locl"
            ),
            ("url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:0\"\n", ":3: tunnel.remote"),
            (
                "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\nprotocol = \"sctp\"\n",
                ":5: tunnel.protocol: expected \"tcp\", \"udp\", \"http\" or \"tls\""
            ),
            (
                "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\nprotocol = \"udp\"\n"
                    + "proxy_protocol = \"v1\"\n",
                ":6: tunnel.proxy_protocol: a UDP service receives no PROXY protocol header"
            ),
            (
                "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"/run/x\"\nprotocol = \"udp\"\n",
                ":5: tunnel.protocol: a Unix socket carries no UDP"
            ),
            (
                "url = \"ws://h\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"socks\"\nprotocol = \"udp\"\n",
                ":5: tunnel.protocol: a public SOCKS port carries no UDP"
            ),
            (
                "url = \"ws://h\"\n[[forward]]\nlocal = \"1\"\nremote = \"/run/x\"\nprotocol = \"udp\"\n",
                ":5: forward.protocol: a Unix socket carries no UDP"
            ),
            ("url = \"ws://h\"\nmax_retries = -1\n", ":2: max_retries: cannot be negative"),
            ("url = \"ws://h\"\nca_only = 1\n", ":2: ca_only: expected true or false"),
            (
                "url = \"ws://h\"\ncarriers = 0\n",
                ":2: carriers: expected auto, a number from 1 to 16, or a range such as 2-4"
            ),
            ("url = \"ws://h\"\ncarriers = true\n", ":2: carriers: expected auto,"),
            ("url = \"ws://h\"\ncarriers_over = \"all\"\n", ":2: carriers_over: expected same or spread"),
            ("url = \"ws://h\"\nservers = 0\n", ":2: servers: expected a number from 1 to 4"),
            ("url = \"ws://h\"\nservers = 5\n", ":2: servers: expected a number from 1 to 4"),
            ("url = \"ws://h\"\nservers = \"2\"\n", ":2: servers: expected a whole number"),
            (
                "url = \"ws://h\"\nproxy = [\"none\", \"pac+file://x\"]\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n",
                "proxy: the path of a proxy script's file must be absolute"
            ),
        ]
    )
    func wrongClientFiles(text: String, expected: String) throws {
        try with(text) { path in
            #expect { try client(["--config", path]) } throws: {
                let failure = Failure($0)
                return failure.status == .configuration && failure.description.contains(expected)
            }
        }
    }

    @Test("a token is read from the file, and a short one is bad data")
    func tokenFiles() throws {
        try with("a token of more than 22 characters\n") { path in
            let token = try SecretFile.token(file: path)
            #expect(token != nil)
        }
        try with("short\n") { path in
            #expect { try SecretFile.token(file: path) } throws: { Failure($0).status == .badData }
        }
        #expect { try SecretFile.token(file: "/nonexistent/token") } throws: {
            Failure($0).status == .configuration
        }
    }

    @Test(
        "one line end after the token or the password is not part of it, LF or CR LF",
        arguments: ["", "\n", "\r\n"]
    )
    func lineEnds(end: String) throws {
        try with("a password of 22 characters" + end) { path in
            let sources = try SecretFile.proxyCredentials(user: "me", passwordFile: path, netrc: false)
            #expect(sources.password == "a password of 22 characters")
            let token = try #require(try SecretFile.token(file: path))
            let same = try Token("a password of 22 characters")
            #expect(token.credentials().verifier == same.credentials().verifier)
        }
    }

    @Test("R16 an error about a control character names its file", arguments: ["a\tb", "a\n\n", "a\r", "a\nb"])
    func controlCharacters(text: String) throws {
        try with(text) { path in
            #expect { try SecretFile.proxyCredentials(user: "me", passwordFile: path, netrc: false) } throws: {
                let failure = Failure($0)
                return failure.status == .badData
                    && failure.description.hasPrefix("the proxy password file \(path): control character")
            }
        }
        #expect { try SecretFile.proxyCredentials(user: "me:\(text)", passwordFile: nil, netrc: false) } throws: {
            Failure($0).description.hasPrefix("--proxy-user: control character")
        }
    }

    @Test(
        "A9 an error about a malformed field has its flag and number, never its text",
        arguments: ["--header", "--proxy-header"]
    )
    func malformedFields(flag: String) throws {
        let arguments = ["ws://h", "-R", "1:x:1", flag, "A: b", flag]
        for (text, problem) in [
            ("Bearer s3cret", "the form is 'Name: value'"), ("A b: s3cret", "malformed field name"),
            ("A: s3cret\n", "control character in a field value"),
        ] {
            #expect { try client(arguments + [text]) } throws: {
                let failure = Failure($0)
                return failure.status == .configuration && failure.description == "\(flag) 2: \(problem)"
            }
        }
        let name = flag.dropFirst(2).replacing("-", with: "_")
        try with("url = \"ws://h\"\n\(name) = \"s3cret\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n") { path in
            #expect { try client(["--config", path]) } throws: {
                Failure($0).description == "\(path):2: \(name): 1: the form is 'Name: value'"
            }
        }
    }

    @Test(
        "a field that the upgrade request sets itself is refused before the first dial",
        arguments: ["Host", "connection", "Content-Length", "Sec-WebSocket-Key"]
    )
    func ownFields(name: String) throws {
        #expect { try client(["ws://h", "-R", "1:x:1", "--header", "\(name): x"]) } throws: {
            Failure($0).description == "--header 1: the upgrade request has a field \(name) of its own"
        }
        let text = "url = \"ws://h\"\nheader = \"\(name): x\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"
        try with(text) { path in
            #expect { try client(["--config", path]) } throws: {
                Failure($0).description.hasPrefix("\(path):2: header: 1: the upgrade request has a field")
            }
        }
        _ = try client(["ws://h", "-R", "1:x:1", "--proxy-header", "\(name): x", "--header", "X-\(name): x"])
    }

    @Test("the password may contain colons, since only the first one splits")
    func proxyUser() throws {
        let sources = try SecretFile.proxyCredentials(user: "me:a:b", passwordFile: nil, netrc: false)
        #expect(sources.user == "me")
        #expect(sources.password == "a:b")
    }

    @Test("the instance is the same after a restart, and differs for another name")
    func instances() {
        #expect(ClientInstance.identity(name: "a") == ClientInstance.identity(name: "a"))
        #expect(ClientInstance.identity(name: "a") != ClientInstance.identity(name: "b"))
        #expect(ClientInstance.identity(name: "a").count == 32)
    }

    @Test("a given instance is the same on any machine, and differs for another name")
    func givenInstances() {
        let one = ClientInstance.identity(name: "a", given: "x", machine: "m1")
        #expect(one == ClientInstance.identity(name: "a", given: "x", machine: "m2"))
        #expect(one != ClientInstance.identity(name: "b", given: "x", machine: "m1"))
        #expect(one != ClientInstance.identity(name: "a", given: "y", machine: "m1"))
        #expect(ClientInstance.identity(name: "a", machine: "m1") != ClientInstance.identity(name: "a", machine: "m2"))
    }

    @Test("an instance with a / is a file that is created with a random value, readable by its owner only")
    func instanceFiles() throws {
        let folder = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tunnel = ["ws://h", "-R", "1:x:1", "--instance"]
        let file = "\(folder)/instance"
        let first = try client(tunnel + [file]).instance
        #expect(try client(tunnel + [file]).instance == first)
        #expect(try client(tunnel + ["\(folder)/other"]).instance != first)
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["instance", "other"])
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(text.count > 22)
        // The same value as an argument identifies the same client.
        #expect(try client(tunnel + [String(text.dropLast())]).instance == first)
        #expect { try client(tunnel + ["\(folder)/no/instance"]) } throws: { Failure($0).status == .configuration }
        try "\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect { try client(tunnel + [file]) } throws: { Failure($0).status == .badData }
        try with("url = \"ws://h\"\ninstance = \"\(folder)/third\"\n[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n") {
            path in
            let problems = ConfigurationProblems(path, isTrial: true)
            _ = try ClientCommand.parse(["--config", path]).read(problems)
            #expect(problems.lines == [])
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/third"))
            _ = try client(["--config", path])
            #expect(FileManager.default.fileExists(atPath: "\(folder)/third"))
        }
    }
}
