import Foundation
import Logging
import Testing
import TunnelCore

@testable import culvert

@Suite("Lines of the log")
struct LogLineTests {
    private func line(_ format: LogFormat, _ metadata: Logger.Metadata) -> String {
        let log = StandardErrorLog(format: format, logLevel: .info)
        let time = WallTime(seconds: 1_769_860_805, nanoseconds: 7_999_999)
        return String(decoding: log.line(time, .notice, "session opened", metadata), as: UTF8.self)
    }

    @Test("A line has exactly this text in each format")
    func forms() {
        let metadata: Logger.Metadata = ["b": "two words", "a": "1", "c": "", "d": "x=y"]
        let time = "2026-01-31T12:00:05.007Z"
        #expect(line(.text, metadata) == #"\#(time) notice session opened a=1 b="two words" c="" d="x=y""#)
        let fields = #""a":"1","b":"two words","c":"","d":"x=y"}"#
        #expect(line(.json, metadata) == #"{"time":"\#(time)","level":"notice","message":"session opened",\#(fields)"#)
    }

    @Test("Who and where come first, then why, then the other fields by name")
    func order() {
        let metadata: Logger.Metadata = [
            "a": "1", "reason": "2", "tunnel": "3", "port": "4", "peer": "5", "client": "6", "visitor": "7",
        ]
        #expect(line(.text, metadata).hasSuffix(" client=6 peer=5 visitor=7 tunnel=3 port=4 reason=2 a=1"))
    }

    @Test("In JSON numbers are numbers, and times are in milliseconds; in text they are for people")
    func numbers() throws {
        let metadata: Logger.Metadata = [
            "count": .number(5), "took_ms": .number(1.5), "in": .time(.milliseconds(1_500)), "name": "5",
        ]
        #expect(line(.text, metadata).hasSuffix(#" count=5 in="1.5 s" name=5 took_ms=1.5"#))
        #expect(line(.json, metadata).hasSuffix(#","count":5,"in_ms":1500,"name":"5","took_ms":1.5}"#))
        #expect(try JSONSerialization.jsonObject(with: Data(line(.json, metadata).utf8)) is [String: Any])
        #expect(line(.json, ["x": .number(Double.nan)]).hasSuffix(#","x":"nan"}"#))
    }

    @Test(
        "A value is quoted if its end would be ambiguous, and truncated after 600 characters",
        arguments: [
            ("plain", "plain"), ("", #""""#), (" ", #"" ""#), ("a=b", #""a=b""#), (#"a"b"#, #""a\"b""#),
            (#"a\b"#, #"a\b"#), (#"a\ b"#, #""a\\ b""#),
            ("a\tb", #""a b""#), ("\u{7F}", #"\u{7F}"#), ("\u{A0}x", "\u{A0}x"), ("é", "é"),
            (String(repeating: "x", count: 600), String(repeating: "x", count: 600)),
            (String(repeating: "x", count: 601), String(repeating: "x", count: 600) + "…"),
            (String(repeating: "é", count: 600), String(repeating: "é", count: 600)),
        ]
    )
    func value(_ value: String, _ shown: String) {
        #expect(line(.text, ["a": .string(value)]).hasSuffix(" session opened a=" + shown))
    }

    @Test(
        "A hostile name stays in its field and on its line",
        arguments: [
            "x\",\"level\":\"error", "a\\", "a\nT error forged", "a\r\u{1B}[2J", "\u{202E}abc", "\u{2028}", "\u{0}",
            "\u{9B}1m",
            "\u{FEFF}", String(repeating: "x", count: 10_000),
        ]
    )
    func hostile(_ name: String) throws {
        for format in LogFormat.allCases {
            let line = line(format, ["client": "\(name)"])
            #expect(line.utf8.count < 2_000)
            for scalar in line.unicodeScalars {
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: Issue.record("\(line)")
                default: break
                }
            }
            guard case .json = format else { continue }
            let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
            #expect(fields?.keys.sorted() == ["client", "level", "message", "time"])
            #expect(fields?["level"] == "notice")
        }
    }
}
