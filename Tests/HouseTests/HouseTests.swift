import Foundation
import Testing

/// Rules for the sources that the compiler does not check.
@Suite("Rules for the sources") struct HouseTests {
    private static let sources = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources")

    private struct SourceFile {
        let path: String
        let name: String
        let text: String

        /// The text without comments.
        var code: String {
            text.split(separator: "\n", omittingEmptySubsequences: false)
                .filter { !$0.trimmingCharacters(in: .whitespaces).hasPrefix("//") }.joined(separator: "\n")
        }
    }

    private static func files(in folder: String) throws -> [SourceFile] {
        let root = sources.appendingPathComponent(folder)
        let paths = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { $0.hasSuffix(".swift") }
        try #require(!paths.isEmpty, "no files in \(folder)")
        return try paths.sorted().map { path in
            let url = root.appendingPathComponent(path)
            return SourceFile(
                path: "\(folder)/\(path)",
                name: url.deletingPathExtension().lastPathComponent,
                text: try String(contentsOf: url, encoding: .utf8)
            )
        }
    }

    private static func imports(_ file: SourceFile) -> [String] {
        file.text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index < 2, words.count > index + 1 else { return nil }
            return String(words[index + 1])
        }
    }

    @Test(
        "a pure target does no input or output and has no clock: it imports these modules and no other",
        arguments: [
            ("ByteText", []), ("NetworkAddress", ["ByteText"]), ("HTTP1", ["NIOCore"]),
            ("Secrets", ["Crypto"]),
            ("ClientHello", ["NIOCore", "NetworkAddress"]),
            (
                "ACME",
                [
                    "ByteText", "Crypto", "Foundation", "FoundationEssentials", "HTTP1", "NetworkAddress", "SwiftASN1",
                    "X509",
                ]
            ),
            ("WebSocket", ["ByteText", "CZlib", "Crypto", "HTTP1", "NIOCore"]),
            ("Mux", ["ByteText", "Crypto", "NIOCore", "Seal", "Secrets", "Synchronization"]),
            ("Cluster", ["ByteText", "Crypto", "Mux", "Synchronization"]),
            ("Seal", ["ByteText", "Crypto", "Foundation", "FoundationEssentials", "NIOCore"]),
            ("ProxyConnect", ["ByteText", "Crypto", "HTTP1", "NIOCore", "NetworkAddress"]),
            ("HTTPRelay", ["ByteText", "Crypto", "HTTP1", "NIOCore", "NetworkAddress", "Secrets"]),
        ]
    )
    func pureTargets(target: String, allowed: [String]) throws {
        for file in try Self.files(in: target) {
            let others = Set(Self.imports(file)).subtracting(allowed)
            #expect(others.isEmpty, "\(file.path) imports \(others.sorted())")
        }
    }

    @Test("ACME gets the time as a parameter, though it reads JSON and certificates with Foundation's types")
    func noClock() throws {
        for file in try Self.files(in: "ACME") {
            for call in ["Date()", "Date.now", ".now", "Clock", "FileManager"] {
                #expect(!file.code.contains(call), "\(file.path) has \(call)")
            }
        }
    }

    @Test("no role imports the other, and the core imports no role")
    func roles() throws {
        let forbidden = [
            "TunnelCore": ["ProxyConnect", "TunnelAdmin", "TunnelClient", "TunnelServer"],
            "TunnelAdmin": ["ProxyConnect", "TunnelClient", "TunnelServer"],
            "TunnelClient": ["TunnelServer"],
            "TunnelServer": ["ProxyConnect", "TunnelClient"],
        ]
        for (target, modules) in forbidden {
            for file in try Self.files(in: target) {
                let wrong = Set(Self.imports(file)).intersection(modules)
                #expect(wrong.isEmpty, "\(file.path) imports \(wrong.sorted())")
            }
        }
    }

    @Test("the session loop is the only caller of the session's frames and actions, and of the carrier's flush")
    func onePump() throws {
        for folder in ["TunnelCore/SessionLoop", "TunnelCore/Stream", "TunnelServer", "TunnelClient"] {
            for file in try Self.files(in: folder) where file.name != "SessionLoop" {
                // Before there is a session, the handshake flushes its own frames.
                guard !file.name.hasSuffix("CarrierHandshake") else { continue }
                for call in ["session.nextFrame(", "session.nextAction(", "carrier.flush()"] {
                    #expect(!file.code.contains(call), "\(file.path) calls \(call)")
                }
            }
        }
    }

    @Test("an owner of a session has no empty method")
    func noEmptyMethods() throws {
        let empty = /func session\w*\([^)]*\) *\{ *\}/
        for folder in ["TunnelServer", "TunnelClient"] {
            for file in try Self.files(in: folder) {
                #expect(!file.code.contains(empty), "\(file.path)")
            }
        }
    }

    @Test("calls that tune the heap, the scheduler or the kernel are in Tuning only")
    func tuning() throws {
        for folder in ["TunnelCore", "TunnelServer", "TunnelClient"] {
            for file in try Self.files(in: folder) where !file.path.contains("/Tuning/") {
                for word in ["sched_yield", "TCP_CONGESTION", "malloc_trim", "mallopt", "setrlimit"] {
                    #expect(!file.code.contains(word), "\(file.path) has \(word)")
                }
            }
        }
    }

    @Test("no file of the executable imports Foundation where FoundationEssentials is: it would add 45 MB to a release")
    func foundation() throws {
        let product = [
            "ByteText", "NetworkAddress", "Secrets", "HTTP1", "ClientHello", "WebSocket", "Mux", "ProxyConnect",
            "HTTPRelay", "TunnelCore", "TunnelAdmin", "TunnelServer", "TunnelClient", "Tunnel", "culvert",
            "ACME", "Cluster", "EtcdStore", "Seal",
        ]
        for file in try product.flatMap(Self.files) where Self.imports(file).contains("Foundation") {
            #expect(file.code.contains("#if canImport(FoundationEssentials)"), "\(file.path)")
        }
    }
}
