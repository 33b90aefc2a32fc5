import ArgumentParser
import HTTP1
import Logging
import Platform

/// The forms of the log.
enum LogFormat: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Writes a line for each event to standard error, as text or JSON.
///
/// Names, addresses and reasons may come from strangers, so unprintable characters are escaped and long values are cut.
struct StandardErrorLog: LogHandler {
    let format: LogFormat
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Makes the process's logger.
    static func logger(_ options: LogOptions) -> Logger {
        let log = StandardErrorLog(format: options.logFormat, logLevel: options.logLevel)
        LogWriter.standardError.setLossNote { count in
            log.line(.now, .warning, "lines were lost, because nothing reads the log", ["lines": "\(count)"])
        }
        let logger = Logger(label: "culvert") { _ in log }
        LogWriter.standardOutput.onLoss { count in
            logger.warning(
                "lines of standard output were lost, because nothing reads them",
                metadata: ["lines": "\(count)"]
            )
        }
        return logger
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

    /// The line of an event.
    ///
    /// - Parameters:
    ///   - common: fields of the logger.
    ///   - own: fields of the event, which win over those of the logger. The two are not merged into one dictionary,
    ///     because that would cost more, for each stream.
    func line(
        _ time: WallTime,
        _ level: Logger.Level,
        _ message: String,
        _ common: Logger.Metadata,
        _ own: Logger.Metadata = [:]
    ) -> [UInt8] {
        // Indices are sorted, not the fields: moving texts costs more than writing them.
        var places: [(fields: Logger.Metadata, place: Logger.Metadata.Index)] = []
        places.reserveCapacity(own.count + common.count)
        for place in own.indices { places.append((own, place)) }
        for place in common.indices where own[common.keys[place]] == nil { places.append((common, place)) }
        places.sort { $0.fields.keys[$0.place] < $1.fields.keys[$1.place] }
        var line = LogLine()
        switch format {
        case .text:
            time.write(to: &line)
            line.append(UInt8(ascii: " "))
            line.append(level.rawValue)
            line.append(UInt8(ascii: " "))
            line.append(shown: message)
            for (fields, place) in places {
                line.append(UInt8(ascii: " "))
                line.append(fields.keys[place])
                line.append(UInt8(ascii: "="))
                line.append(value: Self.text(fields.values[place]))
            }
        case .json:
            line.append("{\"time\":\"")
            time.write(to: &line)
            line.append("\",\"level\":")
            line.append(json: level.rawValue)
            line.append(",\"message\":")
            line.append(json: message)
            for (fields, place) in places {
                line.append(",")
                line.append(json: fields.keys[place])
                line.append(":")
                line.append(json: Self.text(fields.values[place]))
            }
            line.append("}")
        }
        return line.bytes
    }

    private static func text(_ value: Logger.Metadata.Value) -> String {
        if case .string(let text) = value { text } else { "\(value)" }
    }
}

/// The time of an event in UTC: `2026-01-31T12:00:00.123Z`.
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
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { text in
            text.copyBytes(from: "0000-00-00T00:00:00.000Z".utf8)
            Self.write(Int(parts.tm_year) + 1_900, endingAt: 3, in: text)
            Self.write(Int(parts.tm_mon) + 1, endingAt: 6, in: text)
            Self.write(Int(parts.tm_mday), endingAt: 9, in: text)
            Self.write(Int(parts.tm_hour), endingAt: 12, in: text)
            Self.write(Int(parts.tm_min), endingAt: 15, in: text)
            Self.write(Int(parts.tm_sec), endingAt: 18, in: text)
            Self.write(time.tv_nsec / 1_000_000, endingAt: 22, in: text)
            line.append(text)
        }
    }

    /// Writes a number over existing zeros, with its last digit at `place`.
    private static func write(_ number: Int, endingAt place: Int, in text: UnsafeMutableRawBufferPointer) {
        var (number, place) = (number, place)
        while number > 0, place >= 0 {
            text[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10)
            number /= 10
            place -= 1
        }
    }
}

/// The flags of the log, which all roles share.
struct LogOptions: ParsableArguments {
    @Option(help: "The least important events to log: trace, debug, info, notice, warning, error, critical.")
    var logLevel: Logger.Level = .info

    @Option(help: "The log's form: text or json.")
    var logFormat: LogFormat = .text
}
