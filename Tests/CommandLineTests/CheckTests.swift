import Foundation
import Testing

@testable import TunnelCore
@testable import culvert

/// The mistakes in a configuration. `culvert check` reports all of them by line, and a start reports the first.
@Suite("Mistakes in a configuration")
struct CheckTests {
    private static let token = "Zk3vQ9-fVt6mXw2Lp8sRb4NcYh7"
    private static let verifier =
        "culvert1:051236aa502be0de9c4812e52fa85259:1785ac6e570854572931ff206eecff8080c21902d7aab1ce8a46e3b5c5102cfc:"
        + "711fedc05a1ac8b8eb825944ada1d708b9d24481c31e1e17317cba2587eb4af6"

    /// The lines of `culvert check` without the file's name.
    private func lines(_ text: String, isClients: Bool) throws -> [String] {
        try with(text) { path in
            let problems = ConfigurationProblems(path)
            if isClients {
                _ = try ClientCommand.parse(["--config", path]).read(problems)
            } else {
                _ = try ServerCommand.parse(["--config", path]).read(problems)
            }
            return problems.lines.map { $0.replacing(path, with: "F") }
        }
    }

    @discardableResult
    private func with<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString).toml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private static let tunnel = "[[tunnel]]\nremote = \"1\"\nlocal = \"x:1\"\n"

    @Test("one run reports all mistakes of a file, in the order of their lines", arguments: ["\n", "\r\n"])
    func all(lineEnd: String) throws {
        let text = """
            url = "ws://h"
            memory = 3
            max_retries = -1
            header = [
              "A: b",
              "c",
            ]
            [limits]
            memory = "2G"
            streams = 0
            [[ tunnel ]]
            remot = "1"
            local = "x:1"
            [[ tunnel ]]
            remote = "99999"
            local = "x:1"
            visitor_bandwidth = "10 MB"

            """
        let lines = try lines(text.replacing("\n", with: lineEnd), isClients: true)
        let expected = [
            "F:2: memory: unknown key", "F:3: max_retries: cannot be negative", "F:6: header: 2: the form is",
            "F:9: limits.memory: expected \"16 MiB\" to", "F:10: limits.streams: expected 1 to",
            "F:12: tunnel.remot: unknown key; did you mean remote?", "F:15: tunnel.remote: ",
        ]
        #expect(lines.count == expected.count, "\(lines)")
        for (line, start) in zip(lines, expected) { #expect(line.hasPrefix(start), "\(lines)") }
        #expect(lines.count > 3 && lines[3].hasSuffix("; write \"2 GiB\""), "\(lines)")
    }

    @Test("a start reports the first mistake, and the number of further ones")
    func start() throws {
        try with("url = \"ws://h\"\nnonsense = 1\nca_only = 3\n" + Self.tunnel) { path in
            #expect { try ClientCommand.parse(["--config", path]).configuration() } throws: {
                let text = Failure($0).description
                return text.hasPrefix("\(path):2: nonsense: unknown key")
                    && text.hasSuffix("(and 1 more: `culvert check --config \(path)` lists them)")
            }
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let text: String
        let isClients: Bool
        let messages: [String]

        static func server(_ text: String, _ messages: String...) -> Row {
            Row(text: text, isClients: false, messages: messages)
        }
        static func client(_ text: String, _ messages: String...) -> Row {
            Row(text: "url = \"ws://h\"\n" + text, isClients: true, messages: messages)
        }

        var testDescription: String { text }
    }

    static let rows = [
        Row.server(""),
        Row.server("client = []\nlisten = \"0.0.0.0:1\"\n", "F:2: listen: refusing to listen"),
        Row.server("path = \"/x\"\nallow_ports = \"8000-8010\"\n"),
        Row.server("admin = \"unix:/tmp/culvert-check-test.sock\"\n"),
        Row.server("admin = [\"unix:/tmp/culvert-check-test.sock\", \"127.0.0.1:9100\"]\n"),
        Row.server("admin = \"none\"\n"),
        Row.server("token_file = \"/no/such\"\nlisten = \"0.0.0.0:1\"\n", "F:1: token_file: the token file /no/such"),
        Row.server(
            "listen = \"0.0.0.0:1\"\npath = \"x\"\n",
            "F:1: listen: refusing to listen",
            "F:2: path: the path x"
        ),
        Row.server(
            "listen = [\"127.0.0.1:1\", \"localhost:1\"]\nadmin = \"127.0.0.1:1\"\n",
            "F:1: listen: localhost:1 is taken",
            "F:2: admin: 127.0.0.1:1 is one of the addresses"
        ),
        Row.server(
            "listen = \"192.0.2.77:1\"\n[[client]]\nname = \"a\"\nverifier = \"\(verifier)\"\n",
            "F:1: listen: cannot listen on 192.0.2.77:1: this machine does not have"
        ),
        Row.server(
            "[[client]]\nname = \"a\"\nverifier \(verifier)\n",
            "F:3: verifier: this is the whole line of `culvert token`"
        ),
        Row.server(
            "[[client]]\nname = \"a\"\nverifier = \"verifier \(verifier)\"\n",
            "F:3: client.verifier: leave out the word verifier"
        ),
        Row.server(
            "[[client]]\nname = \"a\"\nverifier = \"\(verifier)\"\nexpires = \"2020-01-01\"\n",
            "F:4: warning: client.expires: this client's access has expired"
        ),
        Row.server("tls_certificate = \"/no/such\"\n", "F:1: tls_certificate: a certificate and a key belong together"),
        Row.server(
            "tls_key = \"/no/key\"\ntls_certificate = \"/no/certificate\"\n",
            "F:2: tls_certificate: the certificate /no/certificate cannot be read"
        ),
        Row.server("listen = \"127.0.0.1:1\"\nproxy = \"none\"\n", "F:2: proxy: this is a key of a client's"),
        Row.server(
            "listen = 127.0.0.1:8080\n",
            "F:1: listen: the value must stand in quotes: listen = \"127.0.0.1:8080\""
        ),
        Row.server(
            "listen = “127.0.0.1:1”\n[limits]\nmemory = 2 GiB\ngrace = 2 minutes\n",
            "F:1: listen: the value must stand in straight quotes",
            "F:3: memory: the value must stand in quotes: memory = \"2 GiB\"",
            "F:4: grace: the value must stand in quotes",
            "F:4: limits.grace: expected"
        ),
        Row.server(
            "path = \"/x\nallow_ports = \"9-1\"\nlisten = 3\n",
            "F:1: Error while parsing",
            "F:2: allow_ports:",
            "F:3: listen:"
        ),
        Row.server("path = \"/x\"\npath = \"/y\"\nlisten = 3\n", "F:2: Error", "F:3: listen: "),
        Row.client(tunnel + tunnel, "F:6: tunnel.remote: the same public port as that of 1:x:1"),
        Row.client(
            "socks = \"1\"\n[[forward]]\nlocal = \"1\"\nremote = \"x:1\"\n",
            "F:2: socks: the same local port as that of -L 1:x:1"
        ),
        Row.client(
            "[[tunnel]]\nremote = \"127.0.0.1:1\"\nlocal = \"a:1\"\n[[tunnel]]\nremote = \"[::1]:1\"\nlocal = \"a:1\"\n"
        ),
        Row.client("[[tunnel]]\nremote = \"0\"\nlocal = \"a:1\"\n[[tunnel]]\nremote = \"0\"\nlocal = \"a:1\"\n"),
        Row.client(
            "token = a token of more than 22 letters\n" + tunnel,
            "F:2: token: the value must stand in quotes: token = \"...\""
        ),
        Row.client("netrc = yes\n" + tunnel, "F:2: netrc: write true or false"),
        Row.client(
            "ca = \"/no/ca\"\nproxy_auth = \"digset\"\n" + tunnel,
            "F:2: ca: the CA file /no/ca",
            "F:3: proxy_auth: give auto"
        ),
        Row.client(
            "tunnel = [\n { remote = \"1\", local = \"x:1\" },\n { remote = \"2\" },\n]\n",
            "F:4: tunnel.local: missing"
        ),
        Row.client("proxy_user = \"a\\tb:c\"\n" + tunnel, "F:2: proxy_user: "),
    ]

    private static let loopback = "[cluster]\npeer_listen = \"127.0.0.1:7443\"\n"

    static let clusterRows = [
        Row.server(loopback + "etcd = [\"http://127.0.0.1:2379\", \"https://[::1]\"]\n"),
        Row.server(loopback, "F:1: cluster.etcd: it is missing"),
        Row.server("[cluster]\netcd = \"https://a\"\n", "F:1: cluster.peer_listen: missing"),
        Row.server(
            loopback + "etcd = \"https://a\"\nprefx = \"x/\"\n",
            "F:4: cluster.prefx: unknown key; did you mean prefix?"
        ),
        Row.server(
            "[cluster]\netcd = \"https://a\"\npeer_listen = \"10.0.0.1:7443\"\n",
            "F:1: cluster.token_file: it is missing: other machines reach peer_listen",
            "F:1: cluster.certificate: it is missing: servers speak TLS"
        ),
        Row.server(
            "[cluster]\netcd = \"https://a\"\npeer_listen = \"7443\"\ntoken_file = \"/no/token\"\n",
            "F:3: cluster.peer_listen: 7443: ",
            "F:4: cluster.token_file: the token file /no/token"
        ),
        Row.server(
            "[cluster]\netcd = \"https://a\"\npeer_listen = \"unix:/tmp/a\"\n",
            "F:3: cluster.peer_listen: expected ADDR:PORT that other servers reach"
        ),
        Row.server(
            loopback + "etcd = \"https://a\"\nuser = \"culvert\"\n",
            "F:4: cluster.user: password_file is missing"
        ),
        Row.server(
            loopback + "etcd = \"https://a\"\npassword_file = \"/no/password\"\n",
            "F:4: cluster.password_file: user is missing"
        ),
        Row.server(
            loopback + "etcd = [\n\"https://a\",\n\"10.0.0.5:2379\",\n\"https://a:1/x\",\n]\n",
            "F:5: cluster.etcd: 10.0.0.5:2379 is not an http or https URL",
            "F:6: cluster.etcd: https://a:1/x must have a host and a port"
        ),
        Row.server(
            loopback + "etcd = \"http://10.0.0.5:2379\"\nuser = \"culvert\"\npassword_file = \"/dev/null\"\n",
            "F:3: cluster.etcd: the password would reach 10.0.0.5 in the clear; give etcd a certificate and write https://"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\ncertificate = \"/no/certificate\"\n",
            "F:4: cluster.certificate: a certificate and a key belong together"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\nkey = \"/no/key\"\n",
            "F:4: cluster.key: a certificate and a key belong together"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\nca = \"/no/ca\"\nprefix = \"\"\n",
            "F:4: cluster.ca: the CA file /no/ca",
            "F:5: cluster.prefix: it is empty"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\npeer_url = \"a:7443\"\n",
            "F:4: cluster.peer_url: a:7443 is not a URL of a server"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\npeer_url = \"wss://a:7443\"\n",
            "F:4: warning: cluster.peer_url: the path of other servers is /peer"
        ),
        Row.server(
            loopback + "etcd = \"http://localhost\"\npeer_url = \"ws://10.0.0.5:7443/peer\"\n",
            "F:4: cluster.peer_url: other servers do not dial ws://10.0.0.5:7443/peer"
        ),
        Row.server(loopback + "etcd = \"http://localhost\"\npeer_url = \"ws://127.0.0.2:7443/peer\"\n"),
        Row.server("cluster = 3\n", "F:1: cluster: expected a table, [cluster]"),
    ]

    @Test("each mistake of [cluster] is reported at its line, with what to write instead", arguments: clusterRows)
    func cluster(row: Row) throws { try self.row(row: row) }

    @Test("each mistake is reported at its line, with what to write instead", arguments: rows)
    func row(row: Row) throws {
        let lines = try lines(row.text, isClients: row.isClients)
        #expect(lines.count == row.messages.count, "\(lines)")
        for (line, start) in zip(lines, row.messages) { #expect(line.hasPrefix(start), "\(lines)") }
    }

    private static let spellings: [(String, Quantity, String?)] = [
        ("2G", .bytes, "write \"2 GiB\""), ("64mb", .bytes, "write \"64 MiB\""),
        ("5 minutes", .time, "write \"5 min\""), ("3 sec", .time, "write \"3 s\""),
        ("10 MB", .rate, "write \"10 MB/s\""), ("10 MiB/s", .rate, "write \"10 MB/s\""), ("10 Mbps", .rate, nil),
        ("10 apples", .bytes, nil), ("much", .time, nil), ("2 GiB", .bytes, nil),
    ]

    @Test("an error about a unit has the right spelling", arguments: spellings)
    func units(text: String, kind: Quantity, advice: String?) {
        #expect(kind.advice(on: text) == advice)
    }
}
