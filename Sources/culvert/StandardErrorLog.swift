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
    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Makes the process's logger.
    static func logger(_ options: LogOptions) -> Logger {
        let log = StandardErrorLog(format: options.logFormat, logLevel: options.logLevel)
        LogWriter.standardError.tellLosses { count in
            log.line(.now, .warning, "lines were lost, because nothing took the log", ["lines": "\(count)"])
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
            line(.now, event.level, event.message.description, all, event.metadata ?? [:]),
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
        _ time: WallTime,
        _ level: Logger.Level,
        _ message: String,
        _ common: Logger.Metadata,
        _ own: Logger.Metadata = [:]
    ) -> [UInt8] {
        var fields = Array(own)
        for field in common where own[field.key] == nil { fields.append(field) }
        fields.sort { $0.key < $1.key }
        var line = LogLine()
        switch format {
        case .text:
            time.write(to: &line)
            line.append(" ")
            line.append(level.rawValue)
            line.append(" ")
            line.append(shown: message)
            for field in fields {
                line.append(" ")
                line.append(field.key)
                line.append("=")
                line.append(value: Self.text(field.value))
            }
        case .json:
            line.append("{\"time\":\"")
            time.write(to: &line)
            line.append("\",\"level\":")
            line.append(json: level.rawValue)
            line.append(",\"message\":")
            line.append(json: message)
            for field in fields {
                line.append(",")
                line.append(json: field.key)
                line.append(":")
                line.append(json: Self.text(field.value))
            }
            line.append("}")
        }
        return line.bytes
    }

    private static func text(_ value: Logger.Metadata.Value) -> String {
        if case .string(let text) = value { text } else { "\(value)" }
    }
}

/// When an event was: `2026-01-31T12:00:00.123Z`, in UTC.
struct WallTime {
    private let time: timespec

    init(seconds: Int, nanoseconds: Int = 0) {
        time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
    }

    static var now: WallTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return WallTime(seconds: now.tv_sec, nanoseconds: now.tv_nsec)
    }

    func write(to line: inout LogLine) {
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        line.append(Int(parts.tm_year) + 1_900, digits: 4)
        line.append("-")
        line.append(Int(parts.tm_mon) + 1, digits: 2)
        line.append("-")
        line.append(Int(parts.tm_mday), digits: 2)
        line.append("T")
        line.append(Int(parts.tm_hour), digits: 2)
        line.append(":")
        line.append(Int(parts.tm_min), digits: 2)
        line.append(":")
        line.append(Int(parts.tm_sec), digits: 2)
        line.append(".")
        line.append(time.tv_nsec / 1_000_000, digits: 3)
        line.append("Z")
    }
}

/// The flags of the log, the same for all roles.
struct LogOptions: ParsableArguments {
    @Option(help: "The least important events to log: trace, debug, info, notice, warning, error, critical.")
    var logLevel: Logger.Level = .info

    @Option(help: "The log's form: text or json.")
    var logFormat: LogFormat = .text
}
