import Foundation

/// Writes the files of a package that are made from what the build knows. The script `package` beside this file calls it.
///
///     culvert-package manual FOLDER DATE SECTIONS <help.json
///     culvert-package sbom VERSION TIME RESOLVED NAME=VERSION... <dependencies.json
///
/// `manual` reads the output of `culvert --experimental-dump-help`. DATE is the date at the foot of each page, and SECTIONS
/// is a file with more sections of culvert(1). `sbom` reads the output of `swift package show-dependencies --format json`.
/// RESOLVED is Package.resolved, and NAME=VERSION names further libraries.
@main
struct PackageFiles {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("manual", 4): try manual(arguments[1], date: arguments[2], sections: arguments[3])
        case ("sbom", 4...): try sbom(arguments)
        default:
            FileHandle.standardError.write(Data("usage: culvert-package manual|sbom ..., see its source\n".utf8))
            exit(64)
        }
    }

    private static func manual(_ folder: String, date: String, sections: String) throws {
        let tool = try ToolDescription(json: FileHandle.standardInput.readDataToEndOfFile())
        let sections = try String(contentsOfFile: sections, encoding: .utf8)
        for page in ManualPage.all(of: tool, date: date, sections: sections) {
            try page.text.write(toFile: "\(folder)/\(page.name).1", atomically: false, encoding: .utf8)
        }
    }

    private static func sbom(_ arguments: [String]) throws {
        let bill = try BillOfMaterials(
            version: arguments[1],
            time: arguments[2],
            dependencies: FileHandle.standardInput.readDataToEndOfFile(),
            resolved: Data(contentsOf: URL(fileURLWithPath: arguments[3])),
            others: arguments[4...].map { $0.split(separator: "=").map(String.init) }.filter { $0.count == 2 }
                .map { ($0[0], $0[1]) }
        )
        FileHandle.standardOutput.write(try bill.json)
    }
}
