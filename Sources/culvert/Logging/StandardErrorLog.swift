import ArgumentParser
import HTTP1
import Logging
import Platform
import Tunnel

/// The forms of the log.
enum LogFormat: String, CaseIterable, ExpressibleByArgument {
    case text
    case json
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Writes a line for each event to standard error or to a file, as text or JSON.
///
/// Names, addresses and reasons may come from strangers, so unprintable characters are escaped and long values are cut.
struct StandardErrorLog: LogHandler {
    let format: LogFormat
    var writer = LogWriter.standardError
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// Makes the process's logger.
    ///
    /// - Throws: a failure if the log's file cannot be opened.
    static func logger(_ options: LogOptions) throws(Failure) -> Logger {
        let writer = try options.logFile.map { path throws(Failure) in try LogFile.open(path) } ?? .standardError
        let log = StandardErrorLog(format: options.logFormat, writer: writer, logLevel: options.logLevel)
        writer.setLossNote { count in
            log.line(.now, .warning, "lines were lost, because nothing reads the log", ["lines": .number(count)])
        }
        let logger = Logger(label: "culvert") { _ in log }
        LogWriter.standardOutput.onLoss { count in
            logger.warning(
                "lines of standard output were lost, because nothing reads them",
                metadata: ["lines": .number(count)]
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
        writer.append(
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
        var places: [(rank: Int, fields: Logger.Metadata, place: Logger.Metadata.Index)] = []
        places.reserveCapacity(own.count + common.count)
        for place in own.indices { places.append((Self.rank(own.keys[place]), own, place)) }
        for place in common.indices where own[common.keys[place]] == nil {
            places.append((Self.rank(common.keys[place]), common, place))
        }
        places.sort { one, other in
            guard one.rank == other.rank else { return one.rank < other.rank }
            return one.fields.keys[one.place] < other.fields.keys[other.place]
        }
        var line = LogLine()
        switch format {
        case .text:
            time.write(to: &line)
            line.append(UInt8(ascii: " "))
            line.append(level.rawValue)
            line.append(UInt8(ascii: " "))
            line.append(shown: message)
            for (_, fields, place) in places {
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
            for (_, fields, place) in places {
                line.append(",")
                Self.append(json: fields.keys[place], fields.values[place], to: &line)
            }
            line.append("}")
        }
        return line.bytes
    }

    /// The place of a field in its line: who and where come first, then why, then the others by name.
    private static func rank(_ key: String) -> Int {
        switch key {
        case "client": 0
        case "visitor", "peer": 1
        case "hop", "destination", "tunnel", "place": 2
        case "service", "port", "socket", "address", "url", "server", "host": 3
        // The line of a request, as web servers have it.
        case "method": 4
        case "target": 5
        case "status": 6
        case "bytes": 7
        case "reason", "problem", "error": 8
        default: 9
        }
    }

    /// Appends a field to an object. Numbers stay numbers, and a time is in milliseconds.
    private static func append(json key: String, _ value: Logger.Metadata.Value, to line: inout LogLine) {
        guard case .stringConvertible(let some) = value else {
            line.append(json: key)
            line.append(":")
            return line.append(json: text(value))
        }
        let time = some as? LoggedTime
        line.append(json: time == nil ? key : "\(key)_ms")
        line.append(":")
        if let time {
            line.append(String(Int64(time.duration / .milliseconds(1))))
        } else if let number = some as? Int {
            line.append(String(number))
        } else if let number = some as? Double, number.isFinite {
            line.append(String(number))
        } else {
            line.append(json: some.description)
        }
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

    @Option(help: "Append the log to this file, which SIGHUP opens again. (default: standard error)")
    var logFile: String?
}
