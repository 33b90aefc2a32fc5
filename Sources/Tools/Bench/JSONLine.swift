import Foundation

/// Lines of JSON between the processes of a run.
enum JSONLine {
    /// Prints a value at once.
    static func print(_ value: some Encodable) throws {
        try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(value) + Data("\n".utf8))
    }

    /// Reads a line.
    static func read<Value: Decodable>(_ line: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(line.utf8))
    }
}
