import Foundation
import Logging
import Testing

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
