import ArgumentParser
import HTTP1
import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The forms of the log.
enum LogFormat: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// The log on standard error: a line for each event, for people or for machines.
///
/// Names, addresses and reasons come from strangers: what cannot be printed is escaped, and nothing is longer than it
/// needs to be.
struct StandardErrorLog: LogHandler {
    /// Characters of one value that are shown.
    private static let longestValue = 600

    /// Bytes that a line has mostly, or fewer.
    private static let usualLine = 320

    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Makes the process's logger.
    static func logger(_ options: LogOptions) -> Logger {
        let log = StandardErrorLog(format: options.logFormat, logLevel: options.logLevel)
        LogWriter.standardError.tellLosses { count in
            log.line(timestamp(), .warning, "lines were lost, because nothing took the log", ["lines": "\(count)"])
        }
        return Logger(label: "culvert") { _ in log }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        LogWriter.standardError.append(
            line(Self.timestamp(), event.level, "\(event.message)", all, event.metadata ?? [:]),
            isUrgent: event.level >= .warning
        )
    }

    /// The line of an event, whatever its texts hold.
    ///
    /// - Parameters:
    ///   - common: fields of the logger.
    ///   - own: fields of the event; where both have one, this counts. They are not merged into one dictionary, since a
    ///     line goes with each stream.
    func line(
        _ time: String,
        _ level: Logger.Level,
        _ message: String,
        _ common: Logger.Metadata,
        _ own: Logger.Metadata = [:]
    ) -> String {
        var fields = Array(own)
        for field in common where own[field.key] == nil { fields.append(field) }
        fields.sort { $0.key < $1.key }
        let message = Self.shown(message)
        var line: String
        switch format {
        case .text:
            line = "\(time) \(level.rawValue) \(message)"
            line.reserveCapacity(Self.usualLine)
            for field in fields {
                line += " "
                line += field.key
                line += "="
                line += Self.quotedIfNeeded(Self.shown(field.value))
            }
        case .json:
            line =
                "{\"time\":\(Self.json(time)),\"level\":\(Self.json(level.rawValue)),\"message\":\(Self.json(message))"
            for field in fields {
                line += ","
                line += Self.json(field.key)
                line += ":"
                line += Self.json(Self.shown(field.value))
            }
            line += "}"
        }
        return line
    }

    private static func shown(_ value: Logger.Metadata.Value) -> String {
        if case .string(let text) = value { return shown(text) }
        return shown("\(value)")
    }

    private static func shown(_ text: String) -> String {
        text.escapedForDisplay(limit: longestValue)
    }

    private static func quotedIfNeeded(_ text: String) -> String {
        let isPlain = !text.isEmpty && !text.utf8.contains { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "=") }
        return isPlain ? text : json(text)
    }

    private static func json(_ text: String) -> String {
        var quoted = "\""
        if text.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            for scalar in text.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { quoted += "\\" }
                quoted.unicodeScalars.append(scalar)
            }
        } else {
            quoted += text
        }
        return quoted + "\""
    }

    /// The time in UTC with milliseconds, `2026-01-31T12:00:00.123Z`.
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = now.tv_nsec / 1_000_000
        let padding = milliseconds < 10 ? "00" : milliseconds < 100 ? "0" : ""
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(padding)\(milliseconds)Z"
    }
}

/// The flags of the log, the same for all roles.
struct LogOptions: ParsableArguments {
    @Option(help: "The least important events to log: trace, debug, info, notice, warning, error, critical.")
    var logLevel: Logger.Level = .info

    @Option(help: "The log's form: text or json.")
    var logFormat: LogFormat = .text
}
