import Logging
import Mux

/// Writes the heads of a carrier's frames to the log, at trace.
package struct FrameTrace {
    private let logger: Logger

    /// - Returns: nil if the log does not take trace lines, so that a frame costs nothing.
    package init?(_ logger: Logger) {
        guard logger.logLevel <= .trace else { return nil }
        self.logger = logger
    }

    func sent(_ header: FrameHeader, payload: Int) {
        write("frame sent", header, payload)
    }

    func received(_ header: FrameHeader, payload: Int) {
        write("frame received", header, payload)
    }

    private func write(_ message: Logger.Message, _ header: FrameHeader, _ payload: Int) {
        logger.trace(
            message,
            metadata: [
                "type": "\(header.type)", "stream": .number(header.stream.rawValue), "payload": .number(payload),
            ]
        )
    }
}
