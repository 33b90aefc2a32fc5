import Foundation
import Mux
import NIOSSL
import Testing

@testable import ProxyConnect
@testable import culvert

/// Text files as the editors of several systems leave them.
@Suite("Encodings of files")
struct TextEncodingTests {
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let secret = "Zk3vQ9-fVt6mXw2Lp8sRb4NcYh7"

    private func with<T>(_ bytes: [UInt8], _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "culvert-\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func failure(_ body: () throws -> some Any) -> Failure? {
        do {
            _ = try body()
            return nil
        } catch {
            return Failure(error)
        }
    }

    private static func wide(_ text: String, isMarked: Bool, isBig: Bool) -> [UInt8] {
        ((isMarked ? [0xFEFF] : []) + Array(text.utf16)).flatMap { unit -> [UInt8] in
            let (high, low) = (UInt8(unit >> 8), UInt8(truncatingIfNeeded: unit))
            return isBig ? [high, low] : [low, high]
        }
    }

    private func password(_ bytes: [UInt8]) throws -> String? {
        try with(bytes) { try SecretFile.proxyCredentials(user: "me", passwordFile: $0, netrc: false).password }
    }

    @Test("a byte order mark is not part of a token or a password", arguments: ["", "\n", "\r\n"])
    func marks(end: String) throws {
        let bytes = Self.mark + Array((Self.secret + end).utf8)
        #expect(try password(bytes) == Self.secret)
        let token = try #require(try with(bytes) { try SecretFile.token(file: $0) })
        #expect(try token.credentials().verifier == Token(Self.secret).credentials().verifier)
    }

    @Test("a password that is not ASCII is passed on unchanged")
    func passwords() throws {
        for text in ["pässwörd", "pa\u{308}ss", "密码"] {
            #expect(try password(Self.mark + Array(text.utf8)).map { Array($0.utf8) } == Array(text.utf8))
        }
    }

    @Test("UTF-16 is refused as such, with and without its mark", arguments: [true, false], [true, false])
    func utf16(isMarked: Bool, isBig: Bool) throws {
        for text in [Self.secret + "\r\n", "machine h login a password b\n", "listen = \"127.0.0.1:1\"\n"] {
            let bytes = Self.wide(text, isMarked: isMarked, isBig: isBig)
            try with(bytes) { path in
                let failures = [
                    failure { try SecretFile.token(file: path) },
                    failure { try SecretFile.proxyCredentials(user: nil, passwordFile: path, netrc: false) },
                    failure { try ServerCommand.parse(["--config", path]).configuration() },
                    failure { try TLSFiles.trust(authorities: [path], only: true) },
                    failure { try TLSFiles.server(certificate: path, key: path) },
                ]
                for failure in failures {
                    #expect(failure?.status == .badData)
                    #expect(
                        failure?.description.contains("is in UTF-16; save it as UTF-8") == true,
                        "\(failure as Any)"
                    )
                }
            }
        }
    }

    @Test("Latin-1 is refused with its line, and never becomes another secret")
    func latin1() throws {
        let bytes = Array("# first\npass".utf8) + [0xE4] + Array("word of more than 22 letters\n".utf8)
        try with(bytes) { path in
            for failure in [
                failure { try SecretFile.token(file: path) },
                failure { try SecretFile.proxyCredentials(user: nil, passwordFile: path, netrc: false) },
                failure { try ServerCommand.parse(["--config", path]).configuration() },
            ] {
                #expect(failure?.status == .badData)
                #expect(failure?.description.contains("is not in UTF-8 (line 2 may be Latin-1)") == true)
            }
        }
    }

    @Test("a mark within a text, as in joined files, is refused with its line")
    func joined() throws {
        let text = "machine a login x password y\n\u{FEFF}machine b login x password y\n"
        #expect { try PlainText.decode(Array(text.utf8)) } throws: { "\($0)".contains("in line 2") }
        #expect { try PlainText.decode(Self.mark + Self.mark + [65]) } throws: { "\($0)".contains("in line 1") }
        #expect { try PlainText.decode(Array("ab\0c".utf8)) } throws: { "\($0)".contains("zero bytes") }
    }

    @Test("the first entry of a netrc is read after a mark, and with CR LF")
    func netrc() throws {
        try with(Self.mark + Array("machine h login a password b\r\nmachine h login c password d\r\n".utf8)) { path in
            let found = try SecretFile.netrc(at: path).credentials(host: "h")
            #expect(found?.user == "a" && found?.password == "b")
        }
    }

    @Test("a configuration is read after a mark, which does not change the numbers of its lines")
    func configuration() throws {
        try with(Self.mark + Array("listen = \"127.0.0.1:1\"\r\npath = 3\r\n".utf8)) { path in
            let failure = failure { try ServerCommand.parse(["--config", path]).configuration() }
            #expect(failure?.description.contains(":2: path: expected a string") == true, "\(failure as Any)")
        }
    }

    @Test("every certificate of a bundle is read, after marks and blanks and with any line ends")
    func bundles() throws {
        let pem = String(decoding: TLSFilesTests.pem, as: UTF8.self)
        for text in [
            "\u{FEFF}" + pem + pem, pem + "\u{FEFF}" + pem, "  " + pem + "\t" + pem,
            (pem + pem).replacing("\n", with: "\r\n"), (pem + pem).replacing("\n", with: "\r"),
            "# -----BEGIN CERTIFICATE----- is how one begins\n" + pem + pem,
        ] {
            try with(Array(text.utf8)) { path in
                let trust = try TLSFiles.trust(authorities: [path], only: true)
                #expect(trust.authorities.count == 2, "\(text.debugDescription)")
            }
        }
        try with(Array((pem + "x" + pem).utf8)) { path in
            let failure = failure { try TLSFiles.trust(authorities: [path], only: true) }
            #expect(failure?.description == "a certificate in \(path) cannot be read as PEM")
        }
    }
}
